"""Stores of the original system are listed, verified and given back where they lie, and nothing is written there."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.original import AT, DAMAGES, SITE, TARS, WIKI, OriginalFolder, damage_all, name_of
from fakes.ways import fingerprint

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def damaged(old: OriginalFolder) -> OriginalFolder:
    return damage_all(old)


def test_ls_shows_the_manuals_picture_and_writes_nothing(old: OriginalFolder, there: Run) -> None:
    before = fingerprint(old.folder)
    code, out, err = there("ls")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f'Base path: "{old.folder}"',
        "* [0] /var/www/site",
        f"* [1] {WIKI.decode()}",
        "* [2] pg main",
        "[0] /var/www/site:",
        "    2013-11-04 03:19:49 [0]    2013-11-03 03:19:49 [0]    2013-11-02 03:19:49 [0]",
        "",
        f"[1] {WIKI.decode()}:",
        "    2013-11-02 03:19:49 [1]",
        "",
        "[2] pg main:",
        "    2013-11-02 03:19:49 [2]",
    ]
    shown = there("ls", 0, "<2013-11-04")[1].splitlines()[-1]
    assert shown == "    2013-11-03 03:19:49 [0]    2013-11-02 03:19:49 [0]"
    assert fingerprint(old.folder) == before


def test_verify_reads_all_of_it(there: Run) -> None:
    code, out, _ = there("verify")
    assert code == 0
    assert out.splitlines()[-1] == "5 versions read, 0 damaged"


def test_verify_names_exactly_what_is_damaged(damaged: OriginalFolder, there: Run) -> None:
    before = fingerprint(damaged.folder)
    code, out, err = there("verify", "--json")
    document = json.loads(out)
    assert code == 5
    bad = {row["damages"][0].split(": ")[-1] for row in document["data"]["versions"] if not row["ok"]}
    assert sorted(row["source"][9:10] for row in document["data"]["versions"] if not row["ok"]) == sorted("tfdaolpqr")
    assert len(bad) >= 6
    assert document["data"]["entries"] == [
        "web1: L3Nydg== 13-13-13_13_13_13 x is no entry's name",
        "web1: fifo is no entry's name",
        "web1: notes.txt is no entry's name",
    ]
    assert sum(row["ok"] for row in document["data"]["versions"]) == 5
    assert fingerprint(damaged.folder) == before
    assert err == ""


def test_ls_of_a_damaged_store_says_what_is_no_entry_and_marks_what_cannot_be_had(
    damaged: OriginalFolder, there: Run
) -> None:
    code, out, err = there("ls")
    assert code == 0
    assert "notes.txt is no entry's name" in err
    marked = {line.split("[")[1][0] for line in out.splitlines() if line.endswith(" damaged")}
    assert len(marked) == 5


def test_export_gives_the_stored_bytes_or_a_tar_or_files(old: OriginalFolder, there: Run, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    assert there("export", given, 0, "=2013-11-02 03:19:49", "--names", "original")[0] == 0
    (name,) = (path for path in given.iterdir() if path.suffix != ".toml")
    assert (name.name, name.read_bytes()) == (name_of(SITE, AT, hashlib.sha256(TARS[0]).hexdigest()).decode(), TARS[0])
    for form in ("tar", "tar.zst", "files"):
        assert there("export", given, "0,2", "=2013-11-02 03:19:49", "--as", form)[0] == 0
    shown = subprocess.run(
        f"tar tf {given}/web1_original:var_www_site-*.tar", shell=True, capture_output=True, check=True
    )
    assert shown.stdout == b"index\nmore\n"
    piped = f"zstd -dcq {given}/web1_original:var_www_site-*.tar.zst | tar xO index"
    assert subprocess.run(piped, shell=True, capture_output=True, check=True).stdout == b"one 0"
    (folder,) = (path for path in given.iterdir() if path.is_dir() and "pg_main" in path.name)
    assert (folder / "pg main").read_bytes().startswith(b"-- PostgreSQL database dump\n")


def test_export_of_what_is_damaged_gives_nothing_of_it_and_all_else(
    damaged: OriginalFolder, there: Run, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    code, _, err = there("export", given, "--as", "files")
    assert code == 5
    assert len(list(given.iterdir())) == 5
    assert len([line for line in err.splitlines() if line.startswith("bkcore: ")]) == len(DAMAGES) + 3


def test_what_would_change_it_is_refused_with_what_to_do(there: Run) -> None:
    for words in (["rm", "0", "<2013-12-01", "--yes"], ["hold", "site"], ["files", "site"]):
        code, _, err = there(*words)
        assert code in (4, 6), words
        assert "bkdb import takes it over" in err or "no version" in err or "no source" in err


def test_in_our_own_store_it_is_listed_beside_our_versions_under_one_index(home: Path, here: Run) -> None:
    mine = OriginalFolder(home / "data" / "web1" / "sftp")
    mine.add(SITE, AT, TARS[0])
    code, out, _ = here("ls", "--json")
    rows = json.loads(out)["data"]["sources"]
    (at,) = (row["index"] for row in rows if row["path"] == "/var/www/site")
    assert code == 0
    assert [row["index"] for row in rows] == list(range(len(rows)))
    assert here("verify", at)[1].splitlines()[-1] == "1 versions read, 0 damaged"
    code, _, err = here("rm", at, "--yes")
    assert (code, "bkdb import takes it over" in err) == (6, True)
