"""The README says what is there: its table of keys is the registry's, and it stays short."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bkconsole.actions import ACTS, SCREENS, Act

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- keys: begin -->\n", "<!-- keys: end -->\n"
LONGEST = 150


def key_table() -> str:
    """What the registry has, a row a place; written into the README with --update-snapshots."""
    lines = ["| where | keys |\n", "|---|---|\n"]
    return "".join(lines + [f"| {where} | {', '.join(map(told, acts))} |\n" for where, acts in places()])


def places() -> Iterator[tuple[str, list[Act]]]:
    everywhere = [act for act in ACTS if len(act.screens) == len(SCREENS)]
    yield "everywhere", everywhere
    for screen in SCREENS:
        yield screen, [act for act in ACTS if screen in act.screens and act not in everywhere]


def told(act: Act) -> str:
    return f"`{act.key}` {act.word}"


def test_the_table_of_keys_is_what_the_registry_has(request: pytest.FixtureRequest) -> None:
    text = README.read_text()
    before, begin, rest = text.partition(BEGIN)
    table, end, after = rest.partition(END)
    assert begin
    assert end
    if request.config.getoption("--update-snapshots"):
        README.write_text(before + begin + key_table() + end + after)
        return
    assert table == key_table()


def test_it_is_short() -> None:
    assert len(README.read_text().splitlines()) <= LONGEST


def test_its_two_commands_end_in_the_demo_and_in_the_tests() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks[0].strip().endswith("venv/bin/bkconsole --demo")
    assert blocks[1].strip() == "bash tests/run"
