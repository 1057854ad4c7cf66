"""What the original system stored is taken over with its dates, and exported files become a store again."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from fakes.original import AT, DAMAGES, DAY, SITE, TARS, WIKI, OriginalFolder, damage_all
from fakes.ways import fingerprint

from bkcore.archive.entries import Entries

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def damaged(old: OriginalFolder) -> OriginalFolder:
    return damage_all(old)


def imported(home: Path) -> list[tuple[str, str, str]]:
    entries = [entry for entry in Entries(home / "data" / "web1").all() if entry.note == "taken over"]
    return [(entry.path, f"{entry.stored_at:%Y-%m-%d}", entry.module) for entry in entries]


def test_import_takes_everything_over_with_its_dates_and_twice_changes_nothing(
    old: OriginalFolder, home: Path, here: Run, tmp_path: Path
) -> None:
    before = fingerprint(old.folder)
    assert here("import", old.folder.parents[1], "-n")[0] == 0
    assert imported(home) == []
    code, out, err = here("import", old.folder.parents[1])
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "5 taken over"
    assert sorted(imported(home)) == [
        ("/var/www/site", "2013-11-02", "directories"),
        ("/var/www/site", "2013-11-03", "directories"),
        ("/var/www/site", "2013-11-04", "directories"),
        (WIKI.decode(), "2013-11-02", "directories"),
        ("pg main", "2013-11-02", "postgres"),
    ]
    assert here("verify", "--source", "/var/www/site")[0] == 0
    assert here("cat", "/var/www/site@2013-11-03//index")[1] == "one 1"
    code, out, _ = here("import", old.folder)
    assert (code, out.splitlines()[-1]) == (0, "5 left")
    assert fingerprint(old.folder) == before


def test_what_was_taken_over_is_never_the_newest_of_its_source(old: OriginalFolder, home: Path, here: Run) -> None:
    old.add(b"/srv/shop.db", datetime(2099, 1, 1), TARS[0])  # noqa: DTZ001
    newest = {entry.source: entry.id for entry in Entries(home / "data" / "web1").all()}
    assert here("import", old.folder)[0] == 0
    after = {entry.source: entry.id for entry in Entries(home / "data" / "web1").all()}
    assert {source: after[source] for source in newest} == newest
    code, out, _ = here("ls", "--source", "/srv/shop.db", "--json")
    (source,) = json.loads(out)["data"]["sources"]
    assert (code, source["source"]) == (0, "shop")


def test_damaged_ones_are_named_and_all_others_taken_over(damaged: OriginalFolder, home: Path, here: Run) -> None:
    code, out, _ = here("import", damaged.folder)
    assert code == 5
    assert out.splitlines()[-1] == f"5 taken over, {len(DAMAGES)} failed"
    assert sum(line.startswith("passed over: ") for line in out.splitlines()) == 3
    assert len(imported(home)) == 5
    assert here("verify")[0] == 0


def test_what_was_removed_here_is_not_taken_over_again(old: OriginalFolder, home: Path, here: Run) -> None:
    assert here("import", old.folder)[0] == 0
    assert here("rm", "--source", "/var/www/site", "=2013-11-02 03:19:49", "--yes")[0] == 0
    code, out, _ = here("import", old.folder)
    assert code == 0
    assert out.count("was removed here") == 1


def test_a_client_that_nobody_knows_is_not_made(old: OriginalFolder, home: Path, here: Run) -> None:
    code, _, err = here("import", old.folder, "--client", "wbe1")
    assert (code, "did you mean web1?" in err) == (4, True)
    assert not (home / "data" / "wbe1").exists()


@pytest.mark.parametrize("form", ["tar", "tar.zst"])
def test_build_makes_a_store_of_what_was_exported_with_the_same_ids_and_contents(
    home: Path, here: Run, tmp_path: Path, form: str
) -> None:
    given = tmp_path / "usb" / "web1" / "sftp"
    given.mkdir(parents=True)
    assert here("export", given, "--source", "shop", "--as", form)[0] == 0
    mine = {e.id: e for e in Entries(home / "data" / "web1").all() if e.source == "shop"}
    code, _, err = here("build", given)
    assert (code, err) == (0, "")
    made = {entry.id: entry for entry in Entries(given.parent).all()}
    assert {i: (e.root, e.path, e.stored_at, e.partial) for i, e in made.items()} == {
        i: (e.root, e.path, e.stored_at, e.partial) for i, e in mine.items()
    }
    assert here("build", given)[1].splitlines()[-1] == f"{len(mine)} left"
    os.chdir(given)
    os.environ.pop("BK_HOME")
    assert here("verify")[1].splitlines()[-1] == f"{len(mine)} versions read, 0 damaged"


def test_build_makes_a_store_of_the_originals_exported_files(tmp_path: Path, here: Run) -> None:
    exported = OriginalFolder(tmp_path / "usb" / "web9" / "sftp")
    exported.add(SITE, AT, TARS[0], above=None)
    exported.add(SITE, AT + DAY, TARS[1], above=None)
    code, out, _ = here("build", exported.folder)
    assert (code, out.splitlines()[-1]) == (0, "2 taken over")
    assert [entry.path for entry in Entries(exported.folder.parent).all()] == [SITE.decode()] * 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace('client = "web1"', 'client = "web2"'), "a version of web2 and not of web1"),
        (lambda text: text + "\n[", "it is not TOML"),
        (lambda text: text.replace("sha256 = ", "sha257 = "), "sha256 is missing"),
        (lambda text: text.replace('file = "', 'file = "../'), "does not describe the file beside it"),
        (lambda text: text.replace('id = "2', 'id = "x'), "cannot be one"),
        (lambda text: text.replace("stored-at", "stored-by"), "stored-at is no time"),
    ],
)
def test_build_passes_over_what_is_no_version_and_says_why(
    home: Path, here: Run, tmp_path: Path, change: Callable[[str], str], told: str
) -> None:
    given = tmp_path / "usb" / "web1" / "sftp"
    given.mkdir(parents=True)
    assert here("export", given, "--source", "shop", "<2100-01-01, 1")[0] == 0
    (beside,) = given.glob("*.toml")
    beside.write_text(change(beside.read_text()))
    code, out, _ = here("build", given)
    assert (code, told in out) == (3, True)
    assert Entries(given.parent).all() == []


def test_build_finds_a_file_that_was_changed_since(home: Path, here: Run, tmp_path: Path) -> None:
    given = tmp_path / "usb" / "web1" / "sftp"
    given.mkdir(parents=True)
    assert here("export", given, "--source", "shop", "<2100-01-01, 1", "--as", "tar")[0] == 0
    (file,) = given.glob("*.tar")
    data = bytearray(file.read_bytes())
    data[600] ^= 1
    file.write_bytes(data)
    code, out, _ = here("build", given)
    assert code == 5
    assert "its sha256 is not the one that it was stored under" in out
    assert Entries(given.parent).all() == []


def test_an_import_that_is_killed_goes_on_where_it_stopped(old: OriginalFolder, home: Path, here: Run) -> None:
    script = (
        "import os, sys\n"
        "from bkcore import durable\n"
        "left, create = int(sys.argv[1]), durable.create\n"
        "def counted(*words, **more):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left < 0: os._exit(9)\n"
        "    return create(*words, **more)\n"
        "durable.create = counted\n"
        "from bkcore.cli.db import db\n"
        "from bkcore.cli.options import main\n"
        "sys.exit(main(db, 'bkdb', ['import', sys.argv[2]]))\n"
    )
    counts = []
    for left in range(40):
        done = subprocess.run(
            [sys.executable, "-c", script, str(left), str(old.folder)], capture_output=True, check=False, text=True
        )
        counts.append(len(imported(home)))
        assert here("verify", "--client", "web1")[0] == 0
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
    assert counts == sorted(counts)
    assert counts[-1] == 5
