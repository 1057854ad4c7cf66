"""Power is lost at every durable step of what people and the guard say of versions: the old word stands, or the new."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from fakes.power import Disk, images
from fakes.stored import server_home, store

from bkcore.archive import guard
from bkcore.archive.change import Measure
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.guard import Guards, key_of
from bkcore.archive.holds import Hold, Holds, is_held
from bkcore.archive.proofs import Proof, Proofs
from bkcore.archive.pruning import carry_out, plan
from bkcore.archive.removal import alive, guards
from bkcore.archive.trash import Trash
from bkcore.config.server import Keep
from bkcore.config.values import Duration
from bkcore.request import new_id
from bkcore.state import Method

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
RULES = {"*": Keep(last=1, younger=Duration(0))}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return server_home(tmp_path / "home")


@pytest.fixture
def data(home: Path) -> Path:
    store(home, "web1", "shop", b"/srv/shop", ["a" * 64, "b" * 64, "c" * 64])
    return home / "data" / "web1"


def after_each_loss(home: Path, act: Callable[[], object], look: Callable[[], object]) -> int:
    """Lose power at each step of act and look at what is found. In how many ways it can be found."""
    disk = Disk(home)
    found = images(disk, act)
    for image in found:
        disk.restore(image)
        look()
    disk.close()
    assert len(found) > 2
    return len(found)


def notes(folder: Path) -> int:
    """How many there are; what a loss left half written has a name of its own, and is swept."""
    return len([path for path in folder.iterdir() if not path.name.startswith(".")])


def newest(data: Path) -> Entry:
    return Entries(data).all()[-1]


def say(data: Path, word: str, *, held: bool) -> None:
    Holds(data).record(Hold(id=newest(data).id, held=held, by=word, at=NOW, note=word))


def test_a_hold_that_is_said_anew_holds_all_the_time(home: Path, data: Path) -> None:
    say(data, "first", held=True)

    def look() -> None:
        assert is_held(newest(data), Holds(data).all(), NOW)
        say(data, "third", held=True)
        assert [hold.note for hold in Holds(data).all().values()] == ["third"]
        assert notes(data / "holds") == 1

    after_each_loss(home, lambda: say(data, "second", held=True), look)


def test_a_release_is_said_or_it_is_not(home: Path, data: Path) -> None:
    say(data, "kept", held=True)

    def look() -> None:
        said = Holds(data).all()[newest(data).id]
        assert (said.held, said.note) in ((True, "kept"), (False, "let go"))
        say(data, "let go", held=False)
        assert not is_held(newest(data), Holds(data).all(), NOW)

    after_each_loss(home, lambda: say(data, "let go", held=False), look)


def measured(data: Path) -> list[Entry]:
    """The same versions, with a measure, and one that is as good as empty and does not exist yet."""
    small = msgspec.structs.replace(newest(data), id=new_id(NOW, 9), sequence=9, measure=Measure(things=0))
    for path in (data / "sftp" / "entries").iterdir():
        path.unlink()
    full = Measure(things=100, bytes=1 << 30)
    for entry in (msgspec.structs.replace(small, id=new_id(NOW, n), sequence=n, measure=full) for n in (1, 2)):
        Entries(data).create(entry)
    return [*Entries(data).all(), small]


def test_no_version_that_changed_too_much_exists_without_its_guard(home: Path, data: Path) -> None:
    *_, good, small = measured(data)

    def take_in() -> None:
        guard.watch(data, small)
        if not Entries(data).known(small.id):
            Entries(data).create(small)

    def look() -> None:
        if Entries(data).known(small.id):
            assert guards(data, NOW)[good.id] == guard.GUARDED
        take_in()
        assert [each.kept for each in Guards(data).tripped()] == [good.id]
        assert notes(data / "guards") == 1

    after_each_loss(home, take_in, look)


def test_accepting_ends_the_guard_or_leaves_it_as_it_was(home: Path, data: Path) -> None:
    *_, good, small = measured(data)
    guard.watch(data, small)
    Entries(data).create(small)

    def accept() -> guard.Guard | None:
        return guard.accept(data, key_of(small), at=NOW, by="a person")

    def look() -> None:
        assert [each.kept for each in Guards(data).tripped()] in ([], [good.id])
        accept()
        assert Guards(data).tripped() == []
        assert accept() is None
        said = Guards(data).on(key_of(small))
        assert said is not None
        assert said.sequence == small.sequence

    after_each_loss(home, accept, look)


def proof(entry: Entry, at: datetime) -> Proof:
    return Proof(
        id=entry.id,
        at=at,
        level=1,
        passed=True,
        root=entry.root,
        source=entry.source,
        module=entry.module,
        version=entry.version,
        seconds=1.5,
        bytes=5,
        by="a person",
    )


def test_a_proof_is_whole_or_not_there_and_takes_none_away(home: Path, data: Path) -> None:
    first, second = (proof(newest(data), NOW + timedelta(days=day)) for day in (0, 7))
    Proofs(data).record(Method.SFTP, first)

    def look() -> None:
        assert Proofs(data).damaged() == []
        assert Proofs(data).all() in ([first], [first, second])

    after_each_loss(home, lambda: Proofs(data).record(Method.SFTP, second), look)


def test_a_plan_that_was_cut_short_is_finished_by_the_next_one(home: Path, data: Path) -> None:
    store(home, "db1", "blog", b"/srv/blog", ["d" * 64, "e" * 64])
    clients = {"web1": data, "db1": home / "data" / "db1"}

    def apply() -> None:
        for _ in carry_out(clients, plan(clients, RULES, NOW), at=NOW, by="a rule"):
            pass

    def look() -> None:
        assert [newest(folder).root[0] for folder in clients.values()] == ["c", "e"]
        for folder in clients.values():
            assert len(Entries(folder).all()) == len(alive(folder)) + len(Trash(folder).all())
            assert alive(folder)[-1] == newest(folder)
        apply()
        assert [len(alive(folder)) for folder in clients.values()] == [1, 1]
        for folder in clients.values():
            Trash(folder).restore(Trash(folder).all().values())
        assert [len(alive(folder)) for folder in clients.values()] == [3, 2]

    after_each_loss(home, apply, look)
