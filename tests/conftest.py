"""Fixtures that any test may ask for: a stand-in for ssh, two homes that know each other, and a real sshd."""

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter
from fakes import missing
from fakes.counted import Attacks, tell_attacks
from fakes.door import Door
from fakes.missing import pytest_addoption, pytest_collection_modifyitems, pytest_sessionfinish
from fakes.sshd import Sshd
from fakes.stranger import Stranger
from fakes.told_figures import figure, tell_figures
from fakes.world import Pair, make_pair
from hypothesis import HealthCheck, settings

__all__ = [
    "figure",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_sessionfinish",
]


# How long it takes to think of an example says something of what else the machine does, and nothing of the product.
settings.register_profile("steady", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_configure() -> None:
    """Hear the signals that a shell lets its background jobs ignore: what is started here would inherit that."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """What could not run, figures that were seen, and how many attacks were refused."""
    missing.tell(terminalreporter, config)
    tell_figures(terminalreporter)
    tell_attacks(terminalreporter)


@pytest.fixture
def attacks(record_property: Callable[[str, object], None]) -> Attacks:
    """Where a test counts what it tries."""
    return Attacks(record_property)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """What `pytest.mark.anyio` runs coroutines on: what the console runs on."""
    return "asyncio"


@pytest.fixture(scope="module")
def account() -> Iterator[Stranger]:
    """An ordinary account of this machine; only root can make one."""
    made = Stranger.make()
    yield made
    made.remove()


@pytest.fixture
def top() -> Iterator[Path]:
    """A folder that every account may enter, unlike a test's own."""
    folder = Path(tempfile.mkdtemp(prefix="bk-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The stand-in for ssh, in force through BK_SSH: the same code as with a real server, without logging in."""
    opened = Door()
    monkeypatch.setenv("BK_SSH", str(opened.program))
    yield opened
    opened.close()


@pytest.fixture
def pair(tmp_path: Path, door: Door) -> Pair:
    """A server and a client that know each other, with small real sources: project (git), tree, db."""
    return make_pair(tmp_path, door)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Callable[[Path], Sshd]]:
    """Starts OpenSSH's own server for a home, on a loopback port, with the home's keys and nothing else."""
    started: list[Sshd] = []

    def start(home: Path) -> Sshd:
        folder = tmp_path / f"sshd-{len(started)}"
        started.append(Sshd.start(folder, home))
        return started[-1]

    yield start
    for each in started:
        each.stop()
