"""bkdb prune: planned, explained, and applied as planned or not at all."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from fakes.stored import server_home, store
from fakes.streams import file, noise
from fakes.streams import store as real

from bkcore.archive.clock import believe
from bkcore.archive.entries import Entries
from bkcore.archive.trash import Trash
from bkcore.cli.db import db
from bkcore.cli.options import main

Run = Callable[..., tuple[int, str, str]]
RULE = '[retention."shop"]\nlast = 2\nyounger = "0s"\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = server_home(tmp_path / "home")
    store(home, "web1", "shop", b"/srv/shop", [str(number) * 64 for number in range(6)])
    store(home, "web1", "blog", b"/srv/blog", ["a" * 64, "b" * 64, "c" * 64])
    monkeypatch.setenv("BK_HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def ruled(home: Path) -> Path:
    with (home / "bk.toml").open("a") as config:
        config.write(RULE)
    return home


@pytest.fixture
def bkdb(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(db, "bkdb", list(words))
        return (code, *capsys.readouterr())

    return run


def planned(bkdb: Run) -> str:
    return str(json.loads(bkdb("prune", "--json")[1])["data"]["plan"])


def removed(home: Path) -> int:
    return len(Trash(home / "data" / "web1").all())


def test_without_a_rule_nothing_is_ever_removed(bkdb: Run, home: Path) -> None:
    code, out, _ = bkdb("prune")
    assert code == 0
    assert out.endswith("bk.toml has no [retention], so nothing is ever removed\n")
    assert bkdb("prune", "--apply", planned(bkdb), "--yes")[1] == "0 versions would be removed\n"
    assert removed(home) == 0


def test_a_plan_says_of_every_version_why_it_stays_or_goes_and_removes_nothing(bkdb: Run, ruled: Path) -> None:
    out = bkdb("prune", "--utc")[1]
    assert "web1:shop 2026-11-06 10:00:00: stays: the last good version of its source, last 1 of 2\n" in out
    assert "web1:shop 2026-11-04 10:00:00: goes: no rule keeps it\n" in out
    assert "web1:blog: has no rule, so nothing goes\n" in out
    assert out.endswith(f"4 versions would go: bkdb prune --apply {planned(bkdb)}\n")
    assert removed(ruled) == 0


def test_a_plan_for_one_client_leaves_the_others_alone(bkdb: Run, ruled: Path) -> None:
    store(ruled, "db1", "shop", b"/srv/shop", [str(number) * 64 for number in range(5)])
    out = bkdb("prune", "--client", "db1")[1]
    assert "web1:" not in out
    assert "3 versions would go: bkdb prune --client db1 --apply plan-" in out
    plan = out.rpartition(" ")[2].strip()
    assert bkdb("prune", "--apply", plan, "--yes")[0] == 6
    assert bkdb("prune", "--client", "db1", "--apply", plan, "--yes")[1] == "3 versions removed\n"
    assert removed(ruled) == 0
    assert bkdb("prune", "--client", "web9")[0] == 4


def test_a_plan_says_what_it_frees_and_when(tmp_path: Path, bkdb: Run, home: Path) -> None:
    data = home / "data" / "db1"
    for number in range(1, 4):
        entry = real(data, number, [file(b"dump", noise(100_000, number))])
        Entries(data).create(msgspec.structs.replace(entry, client="db1"))
    with (home / "bk.toml").open("a") as config:
        config.write(RULE.replace("last = 2", "last = 1"))
    told = json.loads(bkdb("prune", "--client", "db1", "--json")[1])["data"]
    assert told["frees_now"] == 0
    assert told["frees_later"] > 200_000
    assert f"frees 0 bytes now, about {told['frees_later']} when the trash is emptied\n" in bkdb("prune")[1]
    assert bkdb("prune", "--client", "db1", "--apply", told["plan"], "--yes")[0] == 0
    done = json.loads(bkdb("clean", "--client", "db1", "--trash", "--yes", "--json")[1])
    assert done["data"]["db1"]["freed"] == pytest.approx(told["frees_later"], rel=0.001)


def test_a_plan_is_applied_once_and_can_be_taken_back(bkdb: Run, ruled: Path) -> None:
    plan = planned(bkdb)
    assert bkdb("prune", "--apply", plan)[0] == 2
    assert bkdb("prune", "--apply", plan, "-n")[1] == "4 versions would be removed\n"
    assert bkdb("prune", "--apply", plan, "--yes")[1] == "4 versions removed\n"
    assert removed(ruled) == 4
    assert bkdb("prune", "--apply", plan, "--yes")[0] == 6
    assert bkdb("undo")[0] == 0
    assert removed(ruled) == 0


def test_a_plan_is_refused_when_the_store_has_changed_since(bkdb: Run, ruled: Path) -> None:
    plan = planned(bkdb)
    assert bkdb("hold", "shop@1")[0] == 0
    code, out, _ = bkdb("prune", "--apply", plan, "--yes", "--json")
    assert code == 6
    assert json.loads(out)["errors"][0]["code"] == "plan-stale"
    assert removed(ruled) == 0
    assert bkdb("prune", "--apply", planned(bkdb), "--yes")[1] == "3 versions removed\n"


@pytest.mark.parametrize("moved", [timedelta(hours=-1), timedelta(hours=49)])
def test_what_goes_by_age_stops_while_the_clock_is_doubted(bkdb: Run, ruled: Path, moved: timedelta) -> None:
    believe(ruled / ".clock", datetime.now(UTC) - moved)
    assert bkdb("prune")[0] == 0
    for words in (("prune", "--apply", planned(bkdb)), ("clean",)):
        code, _, err = bkdb(*words)
        assert code == 2
        assert "the clock" in err
    assert removed(ruled) == 0
    assert bkdb("prune", "--apply", planned(bkdb), "--yes")[0] == 0
    assert bkdb("clean")[0] == 0
