"""What could not run here is named, and a run that must be whole (--whole) fails for it.

Hooks of pytest, taken up by tests/conftest.py. Only what wants root of its own is meant: an ordinary user's run is a
good run, but not a whole one.
"""

import os

import pytest
from _pytest.terminal import TerminalReporter

_MARKER = "needs_root"
_REASON = "needs root: users, namespaces or mounts of its own"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="fail when a test could not run here")
    parser.addoption("--update-snapshots", action="store_true", help="keep the console's screens as they are now")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker(_MARKER):
                item.add_marker(pytest.mark.skip(reason=_REASON))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--whole") and not_run(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def tell(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Name what was not run."""
    names = not_run(config)
    if names:
        verdict = " (so the run fails)" if config.getoption("--whole") else ""
        terminalreporter.section(f"{len(names)} not run{verdict}: {_REASON}")
        for name in names:
            terminalreporter.write_line(name)


def not_run(config: pytest.Config) -> list[str]:
    """The marked tests that were passed over, for whatever reason; known where the reports come together."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if isinstance(reporter, TerminalReporter) else []
    return [report.nodeid for report in skipped if _MARKER in report.keywords]
