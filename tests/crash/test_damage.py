"""Whatever happens to any file of a store is found by verify and named, harms nothing else, and is healed by a copy."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.mixed_store import mixed_home
from fakes.ways import fingerprint

from bkcore.archive.entries import Entries
from bkcore.cli.db import db
from bkcore.cli.options import main

pytestmark = pytest.mark.timeout(600)
# Derived, or facts whose loss only means that something is done again, or files of git that say nothing.
_DERIVED = (
    *("/hooks/", "/info/exclude", "/FETCH_HEAD", "/description", "/outbox-", "/verified/", "/.lock", "/latest"),
    *("index.sqlite", "catalog.sqlite", "names.sqlite"),
)
_SAMPLED = 3
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a version of each method, as it should be."""
    return mixed_home(tmp_path_factory.mktemp("made") / "home")


def flipped(at: float) -> Damage:
    def damage(path: Path) -> None:
        path.chmod(0o600)
        data = bytearray(path.read_bytes())
        data[int(at * (len(data) - 1))] ^= 0x10
        path.write_bytes(data)

    return damage


def truncated(to: float) -> Damage:
    def damage(path: Path) -> None:
        path.chmod(0o600)
        os.truncate(path, int(to * path.stat().st_size))

    return damage


def doubled(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() * 2)


def swapped(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"something else altogether\n")


def replaced(make: Callable[[Path], object]) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


DAMAGES: dict[str, Damage] = {
    "first bit": flipped(0),
    "middle bit": flipped(0.5),
    "last bit": flipped(1),
    "empty": truncated(0),
    "half": truncated(0.5),
    "almost whole": truncated(0.97),
    "doubled": doubled,
    "swapped": swapped,
    "gone": replaced(lambda _: None),
    "a FIFO": replaced(os.mkfifo),
    "a dangling link": replaced(lambda path: path.symlink_to("nowhere")),
    "a loop": replaced(lambda path: path.symlink_to(path.name)),
    "a folder": replaced(lambda path: path.mkdir()),
}


def files(home: Path) -> list[str]:
    """Everything of the store that is not derived."""
    data = home / "data" / "web1"
    found = (
        str(path.relative_to(data)) for path in sorted(data.rglob("*")) if path.is_file() and not path.is_symlink()
    )
    return [name for name in found if not any(word in f"/{name}" for word in _DERIVED)]


def bkdb(home: Path, capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capfd.readouterr()
    code = main(db, "bkdb", ["--home", str(home), *words])
    return code, capfd.readouterr().out


def bad_versions(home: Path, capfd: pytest.CaptureFixture[str], *more: str) -> tuple[int, set[str]]:
    """The exit code of a verify, and what it found damaged: versions by their source, entries by "entry"."""
    code, out = bkdb(home, capfd, "verify", "--client", "web1", "--json", *more)
    found = json.loads(out)["data"]
    return code, {each["source"] for each in found["versions"] if not each["ok"]} | {"entry" for _ in found["entries"]}


def expected(name: str) -> set[str]:
    """What a damage of that file concerns."""
    if "/entries/" in name:
        return {"entry"}
    return {"sftp": {"shop"}, "rsync": {"home"}, "git": {"repo"}}[name.partition("/")[0]]


def cases(made: Path) -> list[tuple[str, str]]:
    return [(name, damage) for name in files(made) for damage in DAMAGES]


def sample(made: Path, *, every: int) -> list[tuple[str, str]]:
    """Every so many-th, and so all files and all damages in turn."""
    return cases(made)[::every]


@pytest.mark.parametrize("every", [_SAMPLED, pytest.param(1, marks=pytest.mark.long)], ids=["sampled", "all"])
def test_every_damage_is_found_named_and_healed_and_harms_nothing_else(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], every: int
) -> None:
    whole = fingerprint(made)
    tried, unharmful = 0, []
    for name, what in sample(made, every=every):
        home = shutil.copytree(made, tmp_path / "home", symlinks=True)
        path = home / "data" / "web1" / name
        before = path.read_bytes()
        DAMAGES[what](path)
        if path.is_file() and path.read_bytes() == before:
            shutil.rmtree(home)
            continue
        tried += 1
        assert bkdb(home, capfd, "ls", "--client", "web1")[0] == 0, (name, what)
        code, bad = bad_versions(home, capfd)
        if not bad:
            unharmful.append((name, what))
        assert bad <= expected(name), (name, what, bad)
        assert code == (5 if bad else 0), (name, what)
        code, bad = bad_versions(home, capfd, "--repair-from", str(made))
        assert (code, bad) == (0, set()), (name, what, bad)
        assert bad_versions(home, capfd) == (0, set()), (name, what)
        # A version whose entry is gone is none: the copy may be older than a removal.
        none = "/entries/" in name and what == "gone"
        assert len(Entries(home / "data" / "web1").all()) == 3 - none, (name, what)
        shutil.rmtree(home)
    assert fingerprint(made) == whole
    print(f"{tried} damages, {tried - len(unharmful)} found and named, all healed; without effect: {unharmful}")
    assert all(is_unneeded(name, what) for name, what in unharmful), unharmful


def is_unneeded(name: str, what: str) -> bool:
    """Files of git that are still good for all that is kept; and an entry that is gone, of which nothing tells."""
    calm = name.rpartition("/")[2] in ("config", "packed-refs", "HEAD")
    return (name.startswith("git/") and calm) or ("/entries/" in name and what == "gone")
