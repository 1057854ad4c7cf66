"""bkdb files, cat, diff, history and stats: what is inside of versions of every method, and how they differ."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fakes.mixed_store import mixed_home
from fakes.streams import file, folder, noise, request_id, store, symlink

from bkcore.archive.entries import ArchiveDetail, Entries, Entry
from bkcore.cli.db import db
from bkcore.cli.options import main

Run = Callable[..., tuple[int, bytes, str]]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = mixed_home(tmp_path_factory.mktemp("made") / "home")
    data = home / "data" / "web1"
    later = [
        folder(b"d"),
        file(b"d/noise", noise(200_000)[::-1]),
        symlink(b"d/link", b"elsewhere"),
        file(b"d/hard", b"no link any more"),
        file(b"new", b"new"),
    ]
    Entries(data).create(store(data, 4, later))
    return home


@pytest.fixture
def home(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = shutil.copytree(made_once, tmp_path / "home", symlinks=True)
    monkeypatch.setenv("BK_HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def bkdb(home: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    def run(*words: str) -> tuple[int, bytes, str]:
        code = main(db, "bkdb", [str(word) for word in words])
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return run


def test_files_shows_what_a_version_holds_as_ls_does(bkdb: Run) -> None:
    code, out, _ = bkdb("files", "shop@~1", "--utc")
    lines = out.decode().splitlines()
    assert code == 0
    assert lines[0] == "drwxr-x---  1000   100            0 2023-11-14 22:13:20 d"
    assert lines[2].endswith(r"d/odd \xff\n")
    assert lines[3].endswith("d/link -> noise")
    assert lines[4].endswith("d/hard is d/noise")
    assert [line.split()[1] for line in bkdb("files", "repo")[1].decode().splitlines()] == [
        "refs/heads/main",
        "refs/tags/v1",
    ]


def test_files_as_json_carries_every_name_and_what_is_known_of_it(bkdb: Run) -> None:
    data = json.loads(bkdb("files", "home", "--json")[1])["data"]
    assert [each.get("path") or each["path_b64"] for each in data] == [".", "big", "sub", "c3ViL29kZCD/Cg=="]
    assert data[1]["sha256"] == hashlib.sha256(noise(100_000)).hexdigest()


@pytest.mark.parametrize(
    ("ref", "content"),
    [
        ("shop@~1//d/noise", noise(200_000)),
        ("shop@~1//d/hard", noise(200_000)),
        ("shop@1//d/odd \udcff\n", b"x" * 5000),
        ("web1:shop@latest//new", b"new"),
        ("home//sub/odd \udcff\n", b"some text"),
        ("repo//file", b"hello\n"),
        ("repo//v1:file", b"hello\n"),
        ("repo//refs/heads/main:file", b"hello\n"),
    ],
)
def test_cat_gives_the_bytes_of_one_file(bkdb: Run, ref: str, content: bytes) -> None:
    assert bkdb("cat", ref) == (0, content, "")


@pytest.mark.parametrize(
    ("ref", "code", "told"),
    [
        ("shop//d", 4, "d is a folder in that version"),
        ("shop//d/link", 4, "d/link is a symlink in that version"),
        ("shop//nothing", 4, "there is no file nothing"),
        ("home//../../etc/passwd", 4, "there is no file ../../etc/passwd"),
        ("repo//nothing:file", 4, "there is no ref nothing"),
        ("repo//main:nothing", 4, "there is no file main:nothing"),
        ("repo//main:-x", 4, "there is no file"),
        ("shop", 2, "names nothing inside of a version"),
        ("shop//", 2, "names nothing inside of a version"),
        ("other//x", 4, "there is no source other"),
    ],
)
def test_cat_says_why_it_gives_nothing(bkdb: Run, ref: str, code: int, told: str) -> None:
    ended, out, err = bkdb("cat", ref)
    assert (ended, out) == (code, b"")
    assert told in err


def test_cat_reads_no_more_than_the_frames_that_hold_the_file(bkdb: Run, home: Path) -> None:
    """Damage elsewhere in the archive is no reason not to give a file."""
    for pack in (home / "data" / "web1" / "sftp" / "packs").rglob("*-0000"):
        pack.chmod(0o600)
        data = bytearray(pack.read_bytes())
        data[50_000] ^= 1
        pack.write_bytes(data)
    assert bkdb("cat", "shop@~1//d/noise")[0] == 5
    assert bkdb("cat", "shop@~1//d/odd \udcff\n") == (0, b"x" * 5000, "")


def test_a_file_of_a_state_that_is_not_what_it_was_is_damage(bkdb: Run, home: Path) -> None:
    kept = next((home / "data" / "web1" / "rsync" / "home").rglob("big"))
    kept.chmod(0o600)
    kept.write_bytes(noise(100_000)[:-1] + b"x")
    code, _, err = bkdb("cat", "home//big")
    assert (code, "big is damaged" in err) == (5, True)


def test_a_reader_that_goes_away_is_no_fault(home: Path) -> None:
    argv = [sys.executable, "-m", "bkcore", "db", "cat", "home//big"]
    done = subprocess.run(f"{' '.join(argv)} | head -c 1", shell=True, capture_output=True, check=False, env=os.environ)
    assert (len(done.stdout), done.stderr) == (1, b"")


def test_diff_tells_what_is_new_gone_and_changed_and_of_what(bkdb: Run) -> None:
    code, out, _ = bkdb("diff", "shop@~1", "shop")
    assert code == 0
    assert out.decode().splitlines() == [
        "~ d/hard (kind)",
        "~ d/link (link)",
        "- d/odd \\xff\\n",
        "+ new",
        "1 added, 1 removed, 2 changed",
    ]


def test_diff_reads_files_whose_time_alone_is_another(bkdb: Run, home: Path) -> None:
    data = home / "data" / "web1"
    again = [file(b"new", b"new", mtime_ns=5), file(b"d/noise", noise(200_000)[::-1], mtime_ns=5)]
    other = [file(b"new", b"neW", mtime_ns=6), file(b"d/noise", noise(200_000)[::-1], mtime_ns=6)]
    for number, members in ((5, again), (6, other)):
        Entries(data).create(store(data, number, members))
    lines = bkdb("diff", "shop@~1", "shop")[1].decode().splitlines()
    assert lines[:2] == ["~ d/noise (mtime)", "~ new (content, mtime)"]


def test_versions_of_two_kinds_are_not_compared(bkdb: Run) -> None:
    code, _, err = bkdb("diff", "shop", "home")
    assert (code, "cannot be compared" in err) == (2, True)


def test_a_ref_that_moved_is_a_change_of_content(bkdb: Run, home: Path) -> None:
    data = home / "data" / "web1"
    (entry,) = (each for each in Entries(data).all() if each.source == "repo")
    lists = data / "git" / "lists"
    moved = (lists / entry.root).read_bytes().replace(b"refs/tags/v1", b"refs/tags/v2")
    name = hashlib.sha256(moved).hexdigest()
    (lists / name).write_bytes(moved)
    Entries(data).create(_later(entry, 7, name))
    assert bkdb("diff", "repo@~1", "repo")[1].decode().splitlines() == [
        "- refs/tags/v1",
        "+ refs/tags/v2",
        "1 added, 1 removed, 0 changed",
    ]
    assert [line.split()[2] for line in bkdb("history", "repo//refs/tags/v1")[1].decode().splitlines()] == ["-", "+"]


def test_history_tells_each_version_in_which_something_happened_newest_first(bkdb: Run) -> None:
    told = json.loads(bkdb("history", "shop//d/hard", "--json")[1])["data"]
    assert [(each["sequence"], each["change"], each["what"]) for each in told] == [
        (4, "changed", ["kind"]),
        (1, "added", []),
    ]
    gone = bkdb("history", "shop//d/odd \udcff\n", "--utc")[1].decode().splitlines()
    assert [line.split()[2:4] for line in gone] == [["-", "removed"], ["+", "added:"]]
    code, _, err = bkdb("history", "shop//never")
    assert (code, "no version of shop has never" in err) == (4, True)


def test_history_passes_over_a_version_that_cannot_be_read_and_names_it(bkdb: Run, home: Path) -> None:
    entries = {entry.sequence: entry for entry in Entries(home / "data" / "web1").all() if entry.source == "shop"}
    detail = entries[4].detail
    assert isinstance(detail, ArchiveDetail)
    (home / "data" / "web1" / "sftp" / "manifests" / detail.manifest).unlink()
    code, out, err = bkdb("history", "shop//d/noise")
    assert code == 5
    assert len(out.splitlines()) == 1
    assert entries[4].version in err


def test_stats_sums_by_source_and_by_client(bkdb: Run, home: Path) -> None:
    entries = Entries(home / "data" / "web1").all()
    told = json.loads(bkdb("stats", "--json")[1])["data"]
    shop = next(each for each in told["by"] if each["source"] == "shop")
    assert shop["versions"] == 2
    assert shop["size"] == sum(entry.size for entry in entries if entry.source == "shop")
    (client,) = json.loads(bkdb("stats", "--by", "client", "--json")[1])["data"]["by"]
    assert (client["client"], client["versions"]) == ("web1", 4)
    assert client["new_bytes"] == sum(entry.new_bytes for entry in entries)
    assert 0 < told["room"]["web1"] < 10_000_000
    assert "web1:/srv/shop.db" in bkdb("stats")[1].decode()


def _later(entry: Entry, number: int, root: str) -> Entry:

    detail = msgspec.structs.replace(entry.detail, list=root)
    return msgspec.structs.replace(entry, id=request_id(number), sequence=number, root=root, detail=detail)
