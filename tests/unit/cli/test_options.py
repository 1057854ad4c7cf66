"""Global options before and after the verb, and command lines that cannot be meant."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bkcore import __version__
from bkcore.cli.frame import Frame, Result
from bkcore.cli.options import Verbs, main


@click.group(cls=Verbs)
def group() -> None:
    """Things to do."""


@group.command()
@click.argument("name", required=False)
@click.option("--json-lines", is_flag=True)
def show(frame: Frame, name: str | None, *, json_lines: bool) -> Result:
    """Show what was given."""
    data = {"name": name, "lines": json_lines, "home": frame.home, "end": frame.end, "utc": frame.utc}
    more = {"dry_run": frame.dry_run, "yes": frame.yes, "quiet": frame.quiet, "verbose": frame.verbose}
    return Result(data={**data, **more, "color": frame.color}, lines=[f"{name}"])


def given(*words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(group, "bkdb", words) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert isinstance(data, dict)
    return data


def test_global_options_stand_before_or_after_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--home", "/h", "--json", "-n", "--yes", "-q", "-vv", "--utc", "--color", "always", "--end", "ssh://x"]
    before = given(*options, "show", "a", capsys=capsys)
    assert given("show", *options, "a", capsys=capsys) == before
    assert given("show", "a", *options, capsys=capsys) == before
    assert given(*options[:2], "show", *options[2:], "a", capsys=capsys) == before
    assert before["home"] == "/h"
    assert before["verbose"] == 2
    assert all(before[key] for key in ("utc", "dry_run", "yes", "quiet", "color", "end"))


def test_the_option_that_stands_after_the_verb_wins(capsys: pytest.CaptureFixture[str]) -> None:
    assert given("--json", "--home", "/a", "show", "--home", "/b", capsys=capsys)["home"] == "/b"


def test_without_options_everything_is_off(capsys: pytest.CaptureFixture[str]) -> None:
    data = given("show", "--json", capsys=capsys)
    assert not any(data.values())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["shwo"], "bkcore: there is no command shwo (did you mean show?)\n  hint: bkdb --help\n"),
        (["x\x1b[2J"], "bkcore: there is no command x\\x1b[2J\n  hint: bkdb --help\n"),
        ([], "bkcore: Missing command.\n  hint: bkdb --help\n"),
        (["show", "a", "b"], "bkcore: Got unexpected extra argument (b)\n  hint: bkdb show --help\n"),
        (["--color", "red", "show"], "bkcore: Invalid value for '--color'"),
        (["show", "--home"], "bkcore: Option '--home' requires an argument.\n"),
        (["--hom", "x", "show"], "bkcore: No such option"),
    ],
)
def test_a_line_that_cannot_be_meant_is_told_in_one_line_with_a_hint(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(group, "bkdb", words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(told)
    assert err.count("\n") == 2


def test_a_usage_error_has_an_envelope_when_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(group, "bkdb", ["shwo", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["errors"][0]["exit"] == 2


def test_version_and_help_need_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--version"], ["show", "--version"]):
        assert main(group, "bkdb", words) == 0
        assert capsys.readouterr().out == f"bkcore {__version__}\n"
    assert main(group, "bkdb", ["--help"]) == 0
    whole = capsys.readouterr().out
    for option in ("--home", "--end", "--json", "-n, --dry-run", "--yes", "-q", "-v", "--color", "--utc", "--version"):
        assert option in whole
    assert main(group, "bkdb", ["show", "--help"]) == 0
    assert "\n  --home" not in capsys.readouterr().out


def test_a_terminal_that_knows_only_ascii_gets_escapes_and_no_crash() -> None:
    code = (
        "from bkcore.cli.options import *; from bkcore.cli.frame import Result\n"
        "group = Verbs('x')\n"
        "@group.command()\n"
        "def show(frame): return Result(lines=['\\u2713'])\n"
        "import sys; sys.exit(main(group, 'bkdb', ['show']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)},
        check=True,
        capture_output=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout == b"\\u2713\n"
