"""What a client may read: told, planned for, and mended by what root is told to type."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from fakes.stranger import Stranger
from fakes.typed import typed

from bkcore.setup import homes


@pytest.fixture
def client(top: Path, account: Stranger) -> Path:
    """The home of a client of that account: one tree is behind a closed folder, one has a closed file in it."""
    (top / "closed" / "shop").mkdir(parents=True)
    (top / "closed" / "shop" / "prices").write_text("1\n")
    (top / "closed").chmod(0o700)
    (top / "part" / "two words").mkdir(parents=True)
    (top / "part" / "two words" / "secret").write_text("2\n")
    (top / "part" / "two words" / "secret").chmod(0o600)
    (top / "open").mkdir()
    sources = "".join(
        f'[source.{label}]\nmodule = "directories"\npath = "{top / path}"\n'
        for label, path in (("shop", "closed/shop"), ("part", "part"), ("open", "open"))
    )
    home = homes.create_client_home(top / "client", "web1", sources=sources).root
    for folder, _, names in os.walk(home):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(path, account.number, account.number, follow_symlinks=False)
    return home


def told(account: Stranger, home: Path, *words: str) -> tuple[int, str, str]:
    """The exit code and what is said when that account runs bkcore."""
    child = account.start(str(account.python), "-I", "-m", "bkcore", "--home", str(home), *words)
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err


def may_read(number: int, path: Path) -> bool:
    """Whether an account of that number can."""
    done = subprocess.run(
        ["cat", str(path)], user=number, group=number, extra_groups=[], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.needs_root
def test_what_the_plan_says_lets_the_client_read_and_nobody_else(client: Path, top: Path, account: Stranger) -> None:
    code, _, err = told(account, client, "access", "check")
    assert code == 1
    assert "shop: " in err
    assert f"part: {top}/part/two words/secret cannot be read" in err
    assert "open: " not in err
    code, plan, _ = told(account, client, "access", "plan")
    assert code == 0
    assert f"setfacl -R -m u:{account.name}:rX {top}/closed/shop" in plan.splitlines()
    assert f"{top}/open" not in plan
    subprocess.run(["sh", "-e"], input=plan, text=True, check=True)
    assert told(account, client, "access", "check") == (0, "every source can be read\n", "")
    assert told(account, client, "access", "plan") == (0, "", "")
    assert may_read(account.number, top / "closed" / "shop" / "prices")
    assert not may_read(account.number + 1, top / "closed" / "shop" / "prices")


@pytest.mark.needs_root
def test_what_is_made_later_can_be_read_too(client: Path, top: Path, account: Stranger) -> None:
    subprocess.run(["sh", "-e"], input=told(account, client, "access", "plan")[1], text=True, check=True)
    (top / "closed" / "shop" / "later").mkdir(mode=0o750)
    (top / "closed" / "shop" / "later" / "new").write_text("3\n")
    assert told(account, client, "access", "check")[0] == 0


def test_sources_are_listed_and_shown_with_what_they_say(tmp_path: Path) -> None:
    sources = '[source.db]\nmodule = "sqlite"\npath = "/srv/a b.db"\nevery = "6h"\n'
    home = homes.create_client_home(tmp_path / "client", "web1", sources=sources).root
    listed = typed("--home", str(home), "source", "list")
    assert listed.stdout.split(maxsplit=3) == ["db", "sqlite", "sftp", "/srv/a b.db\n"]
    shown = typed("--home", str(home), "source", "show", "db", "--json")
    plain = json.loads(shown.stdout)["data"]
    assert (plain["path"], plain["every"], plain["exclude"]) == ("/srv/a b.db", 21600.0, [])
    missing = typed("--home", str(home), "source", "show", "dbs")
    assert (missing.returncode, "did you mean db?" in missing.stderr) == (4, True)


def test_a_database_that_is_not_there_is_told_before_any_backup(tmp_path: Path) -> None:
    sources = f'[source.db]\nmodule = "sqlite"\npath = "{tmp_path}/none.db"\n'
    home = homes.create_client_home(tmp_path / "client", "web1", sources=sources).root
    done = typed("--home", str(home), "access", "check", "--json")
    assert done.returncode == 1
    (found,) = json.loads(done.stdout)["data"]
    assert found["source"] == "db"
    assert "is not a database file" in found["text"]
