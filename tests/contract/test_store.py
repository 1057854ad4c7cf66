"""What every Store keeps to. A new kind of store is one more line in STORES."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bkcore.archive.local import LocalStore
from bkcore.archive.store import LARGEST_CREATED, Store
from bkcore.errors import AlreadyThere, Damaged, Missing, UsageError

STORES: dict[str, Callable[[Path], Store]] = {"local": LocalStore}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path / "store")


def test_what_was_created_is_read(store: Store) -> None:
    store.create("packs/ab/one", b"0123456789")
    assert store.read("packs/ab/one") == b"0123456789"
    assert store.read("packs/ab/one", 3) == b"3456789"
    assert store.read("packs/ab/one", 3, 4) == b"3456"
    assert store.read("packs/ab/one", 10, 0) == b""


def test_nothing_is_ever_replaced(store: Store, tmp_path: Path) -> None:
    store.create("key", b"first")
    with pytest.raises(AlreadyThere):
        store.create("key", b"second")
    writer = store.writer("key")
    writer.write(b"third")
    with pytest.raises(AlreadyThere):
        writer.commit()
    (tmp_path / "file").write_bytes(b"fourth")
    with pytest.raises(AlreadyThere):
        store.adopt("key", tmp_path / "file")
    assert store.read("key") == b"first"


def test_of_many_that_create_at_once_one_wins(store: Store) -> None:
    winners = []
    ready = threading.Barrier(8)

    def race(number: int) -> None:
        ready.wait()
        try:
            store.create("race", b"%d" % number)
            winners.append(number)
        except AlreadyThere:
            pass

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.properties.create_if_absent
    assert [b"%d" % number for number in winners] == [store.read("race")]


def test_what_is_created_at_once_is_small(store: Store) -> None:
    store.create("largest", bytes(LARGEST_CREATED))
    with pytest.raises(UsageError):
        store.create("larger", bytes(LARGEST_CREATED + 1))
    assert store.stat("larger") is None


def test_a_writer_shows_nothing_before_it_commits(store: Store) -> None:
    writer = store.writer("packs/one")
    writer.write(b"some ")
    writer.write(b"bytes")
    assert store.stat("packs/one") is None
    assert list(store.list("packs/")) == []
    writer.commit()
    writer.abort()
    assert store.read("packs/one") == b"some bytes"


def test_a_writer_that_is_aborted_leaves_nothing(store: Store) -> None:
    writer = store.writer("packs/one")
    writer.write(b"x")
    writer.abort()
    assert list(store.list("")) == []


def test_a_local_file_is_taken_over(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"pack")
    store.adopt("packs/one", tmp_path / "file")
    assert store.read("packs/one") == b"pack"
    assert not (tmp_path / "file").exists()


def test_a_local_file_takes_the_place_of_an_object_only_where_that_is_said(store: Store, tmp_path: Path) -> None:
    store.create("packs/one", b"old")
    (tmp_path / "file").write_bytes(b"new")
    with pytest.raises(AlreadyThere):
        store.adopt("packs/one", tmp_path / "file")
    (tmp_path / "file").write_bytes(b"new")
    store.adopt("packs/one", tmp_path / "file", replace=True)
    assert store.read("packs/one") == b"new"
    assert not (tmp_path / "file").exists()


def test_what_is_not_there_is_missing(store: Store) -> None:
    store.create("a", b"x")
    for key in ("b", "a/b", "b/c"):
        assert store.stat(key) is None
        with pytest.raises((Missing, Damaged)):
            store.read(key)
    with pytest.raises(Missing):
        store.read("b")
    store.delete("b")


def test_reading_beyond_the_end_is_damage(store: Store) -> None:
    store.create("a", b"0123")
    for start, size in ((0, 5), (4, 1), (9, 1)):
        with pytest.raises(Damaged):
            store.read("a", start, size)


def test_stat_knows_size_and_time(store: Store) -> None:
    store.create("a", b"0123")
    stat = store.stat("a")
    assert stat is not None
    assert (stat.key, stat.size) == ("a", 4)
    assert stat.modified_ns > 1_700_000_000_000_000_000


def test_a_list_is_sorted_by_key_and_goes_on_after_one(store: Store) -> None:
    keys = ["a.b", "a/b", "a/c/d", "a0", "b/x", "b/y"]
    assert keys == sorted(keys)
    for key in reversed(keys):
        store.create(key, b"")
    assert [stat.key for stat in store.list("")] == keys
    assert [stat.key for stat in store.list("b/")] == ["b/x", "b/y"]
    assert [stat.key for stat in store.list("a/")] == ["a/b", "a/c/d"]
    assert [stat.key for stat in store.list("a")] == ["a.b", "a/b", "a/c/d", "a0"]
    assert [stat.key for stat in store.list("", after="a/c/d")] == ["a0", "b/x", "b/y"]
    assert list(store.list("none/")) == []


def test_what_was_deleted_is_gone_and_may_come_again(store: Store) -> None:
    store.create("a/b", b"x")
    store.delete("a/b")
    assert store.stat("a/b") is None
    store.create("a/b", b"y")
    assert store.read("a/b") == b"y"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        ".",
        "a/.",
        ".hidden",
        "a/.x",
        "x.tmp",
        "a b",
        "a\n",
        "ü",
        "a\0",
        "x" * 600,
    ],
)
def test_what_can_be_no_key_is_refused_everywhere(store: Store, key: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for act in (
        lambda: store.create(key, b""),
        lambda: store.writer(key),
        lambda: store.adopt(key, tmp_path / "file"),
        lambda: store.read(key),
        lambda: store.stat(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(UsageError):
            act()
    assert (tmp_path / "file").exists()


def test_the_local_store_meets_foreign_files_calmly(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.create("packs/good", b"x")
    packs = tmp_path / "packs"
    os.mkfifo(packs / "fifo")
    (packs / "link").symlink_to(packs / "good")
    (packs / "dangling").symlink_to("nowhere")
    (packs / "loop").symlink_to(packs)
    (packs / ".hidden").write_bytes(b"")
    (packs / "half.tmp").write_bytes(b"")
    (packs / "two words").write_bytes(b"")
    assert [stat.key for stat in store.list("packs/")] == ["packs/good"]
    for name in ("fifo", "link", "dangling", "loop"):
        assert store.stat(f"packs/{name}") is None
        with pytest.raises(Damaged):
            store.read(f"packs/{name}")
    with pytest.raises(AlreadyThere):
        store.create("packs/dangling", b"x")
    assert not (packs / "nowhere").exists()


def test_the_local_store_is_durable_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced before it gets its name, the folder after that."""
    from bkcore import durable

    steps = []
    for name in ("_sync", "_link"):
        real = getattr(durable, name)

        def step(*args: object, real: Callable[..., None] = real, name: str = name) -> None:
            real(*args)
            is_folder = name == "_sync" and Path(str(args[0])).is_dir()
            steps.append("folder" if is_folder else name)

        monkeypatch.setattr(durable, name, step)
    store = LocalStore(tmp_path)
    writer = store.writer("one")
    writer.write(b"x")
    writer.commit()
    (tmp_path / "file").write_bytes(b"")
    store.adopt("two", tmp_path / "file")
    assert steps == ["_sync", "_link", "folder"] * 2
    assert store.properties.durable_on_return
