"""Figures that tests saw, said together at a run's end."""

from collections.abc import Callable

import pytest
from _pytest.terminal import TerminalReporter

_FIGURE = "figure"
Figure = Callable[[str], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Takes a line with a figure that was seen."""
    return lambda line: record_property(_FIGURE, line)


def tell_figures(reporter: TerminalReporter) -> None:
    """All of them, each once."""
    reports = [report for each in reporter.stats.values() for report in each if isinstance(report, pytest.TestReport)]
    lines = {str(value) for report in reports for name, value in report.user_properties if name == _FIGURE}
    for line in sorted(lines):
        reporter.write_line(line)
