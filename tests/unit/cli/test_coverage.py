"""`bkcore coverage`: the server says what it should have and has not, by what its clients say of themselves."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.road import Road, road

from bkcore.cli import main


@pytest.fixture(name="road")
def _road(tmp_path: Path) -> Iterator[Road]:
    with road(tmp_path) as made:
        yield made


def coverage(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, str]:
    code = main(["--home", str(home), "coverage", *words])
    return code, capsys.readouterr().out


def by_source(out: str) -> dict[str, tuple[str, str]]:
    data = json.loads(out)["data"]
    return {row["source"]: (row["health"], "; ".join(row["reasons"])) for row in data}


def test_what_was_never_backed_up_is_known_from_the_first_push_on(
    road: Road, capsys: pytest.CaptureFixture[str]
) -> None:
    road.wish("project")
    road.tick_client()
    road.tick_server()
    code, out = coverage(capsys, road.server_home.root, "--json")
    assert code == 1
    told = by_source(out)
    assert set(told) == {"db", "project", "tree"}
    assert told["db"] == told["tree"] == ("never", "never backed up")
    assert told["project"] == ("ok", "")


def test_when_all_is_stored_all_is_covered(road: Road, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("db", "tree", "project"):
        road.wish(label)
    road.tick_client()
    road.tick_server()
    road.tick_client()
    for home in (road.server_home.root, road.client_home.root):
        code, out = coverage(capsys, home)
        assert (code, out.splitlines()[-1]) == (0, "3 of 3 sources are covered")


def test_what_failed_before_it_could_be_sent_is_said_at_the_server_too(
    road: Road, capsys: pytest.CaptureFixture[str]
) -> None:
    road.sources.database.write_bytes(b"this is no database" * 100)
    road.wish("db")
    road.tick_client("prepare")
    road.tick_client("push")
    road.tick_server()
    health, why = by_source(coverage(capsys, road.server_home.root, "--json")[1])["db"]
    assert health == "failed"
    assert "the client could not prepare it: " in why
    assert "never backed up" in why


def test_what_a_client_says_of_itself_is_shown_and_does_nothing(road: Road, capsys: pytest.CaptureFixture[str]) -> None:
    pool = road.todo
    pool.create()
    hostile = 'format = 1\n[source."a\\u001b[31m"]\nmodule = "x"\npath = "/"\n[source."../../etc"]\npath = 7\n'
    (pool.folder / ".sources.toml").write_text(hostile)
    code, out = coverage(capsys, road.server_home.root)
    assert code in (0, 1)
    assert "\x1b" not in out
    (pool.folder / ".sources.toml").write_bytes(b"\xff" * 100)
    code, out = coverage(capsys, road.server_home.root)
    assert code in (0, 1)
