"""Attacks are counted over all tests and all workers, and one line at a run's end says how many were refused."""

from collections.abc import Callable

import pytest
from _pytest.terminal import TerminalReporter

_TRIED, _REFUSED = "attacks tried", "attacks refused"


class Attacks:
    """What one test tries. Each counts as tried; as refused only once the test has seen it."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record
        self._tried = 0

    def tried(self, count: int) -> None:
        """So many are made from here on."""
        self._tried += count
        self._record(_TRIED, count)

    def refused(self, door: str, family: str) -> None:
        """All of them came to nothing, and nothing changed."""
        self._record(_REFUSED, self._tried)
        print(f"{door}: {family}: {self._tried} attacks, {self._tried} refused, 0 bytes changed")
        self._tried = 0


def tell_attacks(reporter: TerminalReporter) -> None:
    """The line at the end."""
    reports = [report for each in reporter.stats.values() for report in each if isinstance(report, pytest.TestReport)]
    said = [(name, value) for report in reports for name, value in report.user_properties if value is not None]
    tried, refused = (sum(int(str(value)) for each, value in said if each == name) for name in (_TRIED, _REFUSED))
    if tried:
        changed = ", 0 bytes changed" if tried == refused else ""
        reporter.write_line(f"{tried} attacks, {refused} refused{changed}")
