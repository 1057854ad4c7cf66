"""What is pushed to gitosis-admin comes into force whole or not at all, and again after any death."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.power import STEPS

from bkcore import durable
from bkcore.controlline.admin import write_files
from bkcore.controlline.repository import tip
from bkcore.controlline.shape import MASTER
from bkcore.errors import Refused
from bkcore.gate.keys import make_pair
from bkcore.gate.regenerate import keydir
from bkcore.paths import ServerHome
from bkcore.setup import admin, homes
from bkcore.tick.admin import add, bring_in_force

CONF = (
    "[group gitosis-admin]\nwritable = gitosis-admin\nmembers = alice\n\n[group {0}]\nwritable = {0}\nmembers = {0}\n"
)


class Died(BaseException):
    """The process ended here."""


@pytest.fixture
def key(tmp_path: Path) -> Callable[[str], bytes]:
    (tmp_path / "keys").mkdir()
    return lambda name: make_pair(tmp_path / "keys" / name, name).line.encode() + b"\n"


@pytest.fixture
def home(tmp_path: Path, key: Callable[[str], bytes]) -> ServerHome:
    """A server with one administrator and the client web1, both in gitosis-admin."""
    made = homes.create_server_home(tmp_path / "server", "main")
    admin.make(made)
    files = {
        "gitosis.conf": CONF.format("web1").encode(),
        "keydir/alice.pub": key("alice"),
        "keydir/web1.pub": key("web1"),
    }
    add(made, files, "the beginning")
    return made


def pushed(home: ServerHome, **files: bytes) -> None:
    """What a push leaves when its hook died before anything else."""
    repository = home.repository("gitosis-admin")
    write_files(repository, MASTER, tip(repository, MASTER), files, "x")


def state(home: ServerHome) -> dict[str, bytes]:
    files = [path for path in home.access.rglob("*") if path.is_file()]
    return {str(path.relative_to(home.access)): path.read_bytes() for path in files}


def dying(monkeypatch: pytest.MonkeyPatch, at: int) -> list[str]:
    """Die before the durable step of that number. The names of the steps so far."""
    seen: list[str] = []

    def wrap(name: str) -> Callable[..., Any]:
        real = getattr(durable, name)

        def step(*words: Any, **more: Any) -> Any:
            if len(seen) == at:
                raise Died
            seen.append(name)
            return real(*words, **more)

        return step

    for name in (*STEPS, "_sync"):
        monkeypatch.setattr(durable, name, wrap(name))
    return seen


def deaths(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> Iterator[int]:
    """Do a piece of work again and again, one step longer each time, until it comes to its end."""
    for at in range(1000):
        with monkeypatch.context() as patch:
            dying(patch, at)
            try:
                work()
            except Died:
                yield at
                continue
        return


def test_whatever_dies_the_old_rules_are_in_force_or_the_new_ones(
    home: ServerHome, key: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = state(home)
    files = {"gitosis.conf": CONF.format("web2").encode(), "keydir/web2.pub": key("web2")}
    pushed(home, **files)
    new = old | files
    seen = []
    for _ in deaths(monkeypatch, lambda: bring_in_force(home)):
        now = state(home)
        assert now in (old, new)
        seen.append(now == new)
    assert set(seen) == {False, True}
    assert state(home) == new
    assert {member for member, _ in keydir(home)} == {"alice", "web1", "web2"}
    assert "--member web2" in (home.ssh / "authorized_keys").read_text()
    assert home.repository("web2").is_dir()
    assert home.pool("web2").is_dir()
    assert not bring_in_force(home)
    print(f"died {len(seen)} times, one step later each time: the old rules or the new ones, never half of either")


def test_a_home_whose_rules_were_never_in_a_repository_takes_one_whatever_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = homes.create_server_home(tmp_path / "server", "main")
    old = state(made)
    for _ in deaths(monkeypatch, lambda: admin.make(made)):
        assert state(made) in (old, {})
    assert state(made) == old
    assert made.access.is_symlink()
    assert not admin.make(made)


def test_a_branch_with_faults_leaves_the_last_good_state_in_force(home: ServerHome) -> None:
    old = state(home)
    pushed(home, **{"gitosis.conf": b"[group x\nmembers = @y\n"})
    with pytest.raises(Refused, match=r"gitosis\.conf:1"):
        bring_in_force(home)
    assert state(home) == old
    pushed(home, **{"gitosis.conf": CONF.format("web3").encode()})
    assert bring_in_force(home)


def test_what_would_have_faults_is_not_added(home: ServerHome) -> None:
    before = tip(home.repository("gitosis-admin"), MASTER)
    with pytest.raises(Refused, match=r"keydir/bob\.pub:1"):
        add(home, {"keydir/bob.pub": b"nonsense\n"}, "x")
    assert tip(home.repository("gitosis-admin"), MASTER) == before
    assert not add(home, {}, "nothing")


def test_files_that_mean_nothing_here_may_lie_there(home: ServerHome) -> None:
    pushed(home, **{"README": b"ours\n", "keydir/old/x.pub": b"nonsense\n", "clients/notes.txt": b"-\n"})
    assert bring_in_force(home)
    assert set(state(home)) == {"gitosis.conf", "keydir/alice.pub", "keydir/web1.pub"}
