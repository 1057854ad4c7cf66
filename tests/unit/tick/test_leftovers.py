"""What deaths left half done goes when it is old enough to be nobody's, and nothing beside it."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes.ticks import bodies, request
from fakes.world import Pair, git, make_repository

from bkcore import durable
from bkcore.request import encode
from bkcore.state import Answer, Letter
from bkcore.tick.ends import ClientEnd, ServerEnd, system_clock
from bkcore.tick.leftovers import drop_leftovers

LEFT = (".0123456789abcdef.tmp", ".gone-01234567")


def lay(folder: Path) -> list[Path]:
    """A staged file and a folder that was being removed, with something in it."""
    folder.mkdir(parents=True, exist_ok=True)
    staged, gone = (folder / name for name in LEFT)
    staged.write_bytes(b"half")
    (gone / "sub").mkdir(parents=True)
    return [staged, gone]


class Clock:
    def __init__(self) -> None:
        self.now = system_clock()

    def __call__(self) -> datetime:
        return self.now


def test_a_client_loses_what_is_older_than_a_day(pair: Pair) -> None:
    clock = Clock()
    end = ClientEnd.open(pair.client, clock)
    pool = end.pool("main").folder
    folders = [pair.client.root, pool / ".attempts", pair.client.bases("main"), pair.client.control("main").parent]
    left = [path for folder in folders for path in lay(folder)]
    drop_leftovers(end)
    assert all(path.exists() for path in left)
    clock.now += timedelta(days=2)
    drop_leftovers(end)
    assert [path for path in left if path.exists()] == []


def test_a_server_looks_beside_the_versions_and_never_into_them(pair: Pair) -> None:
    clock = Clock()
    end = ServerEnd.open(pair.server, clock)
    data = pair.server.client_data("web1")
    inside = lay(data / "rsync" / "tree" / "20261123T031949Z-00042-9f3c2a7b")
    beside = [*lay(data / "sftp" / "packs" / "42"), *lay(data / "rsync" / "entries"), *lay(data / "git" / "lists")]
    beside += [path for words in ("holds", "guards", "trash") for path in lay(data / words)]
    clock.now += timedelta(days=2)
    drop_leftovers(end)
    assert [path for path in beside if path.exists()] == []
    assert all(path.exists() for path in inside)


def test_what_came_for_requests_that_have_ended_goes_and_what_is_waited_for_stays(pair: Pair) -> None:
    end = ServerEnd.open(pair.server)
    data, pool = pair.server.client_data("web1"), end.pool("web1")
    pool.create()
    waits, ended = request(1, "/waits"), request(2, "/ended")
    pool.accept(bodies(waits, ended))
    pool.settle_all([(encode(ended), end.receipt(ended.id, encode(ended), Answer.CANCELLED), Letter.FINISHED)])
    folders = [data / "rsync" / "tree" / f".new-{each.id}-2" for each in (waits, ended)]
    for folder in folders:
        (folder / "sub").mkdir(parents=True)
    repository = data / "git" / "code.git"
    repository.mkdir(parents=True)
    make_repository(repository)
    refs = [f"refs/attempt/{each.id}-1/heads/main" for each in (waits, ended)]
    for ref in refs:
        git(repository, "update-ref", ref, git(repository, "rev-parse", "HEAD").strip())
    drop_leftovers(end)
    assert [folder.exists() for folder in folders] == [True, False]
    assert [git(repository, "for-each-ref", ref) != "" for ref in refs] == [True, False]


def test_the_names_swept_are_those_that_deaths_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(BaseException):
        pass

    def lose(*_: object) -> None:
        raise Lost

    (tmp_path / "tree").mkdir()
    for name in ("_link", "_unlink", "_rename"):
        monkeypatch.setattr(durable, name, lose)
    with pytest.raises(Lost):
        durable.create(tmp_path / "a", b"")
    with pytest.raises(Lost):
        durable.replace(tmp_path / "b", b"")
    monkeypatch.undo()
    monkeypatch.setattr(durable, "_remove_below", lose)
    with pytest.raises(Lost):
        durable.remove_tree(tmp_path / "tree")
    monkeypatch.undo()
    assert len(os.listdir(tmp_path)) == 3
    durable.drop_left(tmp_path, system_clock().timestamp() + 1)
    assert os.listdir(tmp_path) == []
