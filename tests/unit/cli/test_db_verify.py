"""bkdb verify of a part, and from where damage is healed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.mixed_store import mixed_home

from bkcore.cli.db import db
from bkcore.cli.options import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bkdb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    home = mixed_home(tmp_path / "home")

    def run(*words: str) -> tuple[int, str, str]:
        code = main(db, "bkdb", ["--home", str(home), *words])
        return (code, *capsys.readouterr())

    return run


def test_verify_of_a_part_comes_round_to_all_and_of_what_is_older_reads_only_that(bkdb: Run) -> None:
    def read(*words: str) -> list[str]:
        return [row["source"] for row in json.loads(bkdb("verify", "--json", *words)[1])["data"]["versions"]]

    assert {source for _ in range(3) for source in read("--percent", "1")} == {"shop", "home", "repo"}
    assert read("--older", "1h") == []
    assert sorted(read("--older", "0s")) == ["home", "repo", "shop"]
    assert read("--older", "1h", "--percent", "50") == []
    code, _, err = bkdb("verify", "--older", "yesterday")
    assert (code, "must be a duration" in err) == (2, True)


def test_verify_without_a_copy_of_that_client_says_where_one_is_looked_for(bkdb: Run, tmp_path: Path) -> None:
    code, _, err = bkdb("verify", "--repair-from", str(tmp_path / "nowhere"))
    assert (code, "there is no copy of web1" in err) == (4, True)
    code, _, err = bkdb("verify", "--repair-from", "ssh://host")
    assert (code, "another end is not asked yet" in err) == (2, True)


def test_a_client_without_a_copy_is_verified_all_the_same(bkdb: Run, tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    shutil.copytree(home / "data" / "web1", home / "data" / "web2", symlinks=True)
    shutil.copytree(home / "data" / "web1", copy / "web1", symlinks=True)
    for name in ("web1", "web2"):
        (pack,) = (home / "data" / name / "sftp" / "packs").glob("*/*")
        pack.write_bytes(pack.read_bytes()[:-1000])
    code, out, _ = bkdb("verify", "--repair-from", str(copy / "web1"), "--json")
    left = [(row["client"], row["source"]) for row in json.loads(out)["data"]["versions"] if not row["ok"]]
    assert (code, left) == (5, [("web2", "shop")])
