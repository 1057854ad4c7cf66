"""A module that somebody else wrote: the one that the design page shows, as a file of a home and installed."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.ssh_pair import SshPair, ssh_pair
from fakes.typed import assert_told, typed

from bkcore.archive.entries import Entries
from bkcore.modules import MODULES, modules_of
from bkcore.paths import ClientHome
from bkcore.setup import homes
from bkcore.spool import Pool
from bkcore.state import Role

_DESIGN = Path(__file__).resolve().parents[2] / "bkcore" / "DESIGN.md"
_LONGEST_RECIPE = 60


def recipe() -> str:
    """The code that the design page shows."""
    found = re.search(r"\*\*A module of one's own\*\*.*?```python\n(.*?)```", _DESIGN.read_text(), re.DOTALL)
    assert found is not None
    assert found[0].count("\n") <= _LONGEST_RECIPE
    return found[1]


@dataclass(frozen=True)
class World:
    pair: SshPair
    ledger: Path

    def typed(self, *words: str) -> str:
        done = typed("--home", str(self.pair.client.root), *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ssh_pair(tmp_path / "pair", "") as pair:
        ledger = tmp_path / "money.ledger"
        ledger.write_text("tea 2\n")
        folder = pair.client.root / "modules"
        folder.mkdir(exist_ok=True)
        (folder / "ledger.py").write_text(recipe())
        with pair.client.config.open("a") as config:
            config.write(f'[source.money]\nmodule = "ledger"\npath = "{ledger}"\n')
        yield World(pair, ledger)


def test_a_file_in_the_home_is_a_module_that_backs_up_and_brings_back(world: World) -> None:
    assert "money" in world.typed("source", "list")
    world.pair.back_up("money")
    (entry,) = Entries(world.pair.stored).all()
    assert (entry.module, entry.source) == ("ledger", "money")
    world.ledger.write_text("nothing\n")
    world.typed("restore", "money", "--in-place", "--yes")
    assert world.ledger.read_text() == "tea 2\n"


def test_a_module_of_ones_own_may_ask_to_be_called_later(world: World) -> None:
    world.ledger.with_suffix(".lock").touch()
    world.pair.prepare("money")
    (item,) = (pool := Pool(world.pair.client.pool("main"), Role.CLIENT)).items()
    assert pool.attempts(item.id).answered == 0
    assert "is being written" in pool.attempts(item.id).text


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("MODULE = ", "cannot be loaded: SyntaxError"),
        ("raise ValueError('\\x1b[31mno')", "cannot be loaded: ValueError"),
        ("x = 1", "says no MODULE"),
        ("MODULE = 1", "has no name, Options"),
        (recipe().replace('name = "ledger"', 'name = "other"'), "calls itself other"),
    ],
)
def test_a_file_that_is_no_module_is_told(world: World, code: str, told: str) -> None:
    (world.pair.client.root / "modules" / "ledger.py").write_text(code)
    assert_told(typed("--home", str(world.pair.client.root), "tick"), 2, told)


def test_a_file_that_others_may_write_is_not_run(world: World) -> None:
    file = world.pair.client.root / "modules" / "ledger.py"
    file.chmod(0o666)
    assert_told(typed("--home", str(world.pair.client.root), "tick"), 2, "may be written by others", "chmod go-w")


def test_an_installed_module_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "bk_ledger-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bk-ledger\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[bkcore.modules]\nledger = bk_ledger:MODULE\n")
    (tmp_path / "bk_ledger.py").write_text(recipe())
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    source = f'[source.money]\nmodule = "ledger"\npath = "{tmp_path}/x"\n'
    home: ClientHome = homes.create_client_home(tmp_path / "home", "web1", sources="")
    with home.config.open("a") as config:
        config.write(source)
    modules = modules_of(home.root)
    assert modules["ledger"].name == "ledger"
    assert set(modules) == {*MODULES, "ledger"}
    with pytest.raises(KeyError):
        modules["nothing"]
