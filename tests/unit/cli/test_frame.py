"""Where every command runs: its result, its errors and its exit code."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from bkcore.cli import envelope
from bkcore.cli.frame import Frame, Result, coloured, run
from bkcore.errors import BkError, Busy, ConfigError, Damaged, Refused, UsageError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fails(error: BaseException, *, as_json: bool = False) -> int:
    def command(_frame: Frame) -> Result:
        raise error

    return run(Frame(json=as_json), command)


def test_a_result_is_shown_line_by_line_and_gives_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Frame(), lambda _: Result(lines=["a", "b"], exit=3)) == 3
    assert capsys.readouterr() == ("a\nb\n", "")


def test_as_json_a_result_is_one_envelope(capsys: pytest.CaptureFixture[str]) -> None:
    def command(frame: Frame) -> Result:
        frame.warn("careful")
        return Result(data={"rows": [1]}, lines=["unseen"], exit=5, changed=True, errors=(Damaged("x is", hint="y"),))

    assert run(Frame(json=True), command) == 5
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "format": 1,
        "ok": False,
        "exit": 5,
        "changed": True,
        "data": {"rows": [1]},
        "warnings": ["careful"],
        "errors": [{"exit": 5, "text": "x is", "hint": "y", "code": "damaged", "transient": False}],
    }
    assert err == "bkcore: warning: careful\nbkcore: x is\n  hint: y\n"


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (BkError("it broke", hint="mend it"), 1, "bkcore: it broke\n  hint: mend it\n"),
        (Refused("no"), 6, "bkcore: no\n"),
        (Busy("a\x1b[2Jb\nc"), 75, "bkcore: a\\x1b[2Jb\\nc\n"),
        (ConfigError("bk.toml:1: a\nbk.toml:2: b"), 2, "bkcore: bk.toml:1: a\nbkcore: bk.toml:2: b\n"),
        (UsageError("a\n  do: rm -rf /"), 2, "bkcore: a\\n  do: rm -rf /\n"),
        (KeyboardInterrupt(), 130, "bkcore: interrupted\n"),
        (
            OSError(28, "No space left on device", "/x\x1b"),
            1,
            "bkcore: /x\\x1b: No space left on device\n",
        ),
        (OSError("odd"), 1, "bkcore: odd\n"),
        (PermissionError(13, "Permission denied", b"/\xff"), 1, "bkcore: /\\xff: Permission denied\n  hint: run as"),
        (UsageError("what?"), 2, "bkcore: what?\n"),
        (RecursionError("deep"), 1, "bkcore: a fault in the program: RecursionError: deep\n  hint: BK_DEBUG=1"),
        (SystemExit(4), 1, "bkcore: a fault in the program: SystemExit"),
    ],
)
def test_every_error_is_one_line_a_hint_and_an_exit_code(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(told)
    assert err.count("\n") == told.count("bkcore: ") + ("hint" in err)


def test_an_error_has_its_envelope_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert fails(Busy("later", hint="wait"), as_json=True) == 75
    whole = json.loads(capsys.readouterr().out)
    assert (whole["ok"], whole["exit"], whole["data"]) == (False, 75, None)
    assert whole["errors"] == [{"exit": 75, "text": "later", "hint": "wait", "code": "busy", "transient": True}]


def test_a_fault_in_the_lines_themselves_is_an_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    def lines() -> Iterator[str]:
        yield "first"
        raise Damaged("second")

    assert run(Frame(), lambda _: Result(lines=lines())) == 5
    assert capsys.readouterr() == ("first\n", "bkcore: second\n")


def test_a_trace_is_shown_only_when_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BK_DEBUG", "1")
    fails(ValueError("x"))
    assert "Traceback" in capsys.readouterr().err


def child(code: str, **settings: object) -> "subprocess.Popen[bytes]":
    start = "from bkcore.cli.frame import *; import sys, time, os\n"
    return subprocess.Popen([sys.executable, "-c", start + code], stderr=subprocess.PIPE, **settings)  # type: ignore[call-overload,no-any-return]


def test_a_reader_that_went_away_is_no_error_worth_a_word() -> None:
    reading, writing = os.pipe()
    process = child("sys.exit(run(Frame(), lambda _: Result(lines=map(str, range(10**6)))))", stdout=writing)
    os.close(writing)
    os.close(reading)
    assert process.communicate()[1] == b""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_a_failure() -> None:
    with Path("/dev/full").open("wb") as full:
        process = child("sys.exit(run(Frame(), lambda _: Result(lines=['x'])))", stdout=full)
        assert process.communicate()[1].startswith(b"bkcore: No space left on device\n")
    assert process.returncode in (1, 120)


@pytest.mark.parametrize(("number", "told"), [(signal.SIGTERM, b"SIGTERM"), (signal.SIGHUP, b"SIGHUP")])
def test_a_terminated_command_puts_away_what_it_began_and_ends_with_the_signal(number: int, told: bytes) -> None:
    code = """
def command(frame):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("put away", flush=True)
sys.exit(run(Frame(), command))
"""
    process = child(code, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=20) == (b"put away\n", b"bkcore: ended by %s\n" % told)
    assert process.returncode == 128 + number


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    code = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
def command(frame):
    os.kill(os.getpid(), signal.SIGHUP)
    return Result(lines=["went on"])
sys.exit(run(Frame(), command))
"""
    process = child(code, stdout=subprocess.PIPE)
    assert process.communicate(timeout=20) == (b"went on\n", b"")
    assert process.returncode == 0


def test_the_terminal_is_left_alone_when_talk_is_not_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    frame = Frame(quiet=True, verbose=1)
    frame.warn("a")
    frame.say("b")
    frame.detail("c")
    assert capsys.readouterr().err == ""
    Frame(verbose=1).detail("d\x07")
    Frame().detail("e")
    assert capsys.readouterr().err == "d\\x07\n"
    assert frame.warnings == ["a"]


def test_a_question_without_a_terminal_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError) as caught:
        Frame().confirm("remove 3 versions")
    assert caught.value.exit == 2
    Frame(yes=True).confirm("remove 3 versions")


@pytest.mark.parametrize(
    ("answer", "typed", "agreed"),
    [
        ("y\n", "", True),
        ("YES\n", "", True),
        ("\n", "", False),
        ("", "", False),
        ("n\n", "", False),
        ("web1\n", "web1", True),
        ("y\n", "web1", False),
        ("\n", "web1", False),
    ],
)
def test_a_person_agrees_by_y_or_by_typing_the_name_out(
    answer: str, typed: str, agreed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", Terminal())
    if agreed:
        Frame().confirm("sure?", typed=typed)
    else:
        with pytest.raises(Refused, match="nothing was changed"):
            Frame().confirm("sure?", typed=typed)


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not coloured("auto")
    assert coloured("always")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert coloured("auto")
    assert not coloured("never")
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured("auto")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured("auto")


class Row(msgspec.Struct):
    at: datetime
    path: Path
    raw: bytes


def test_json_is_plain_ascii_and_in_utc_whatever_is_in_it() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    text = envelope.dumps(
        [Row(moment, Path("/x\udcff"), b"\x1b\xfe"), "\u202e\x7f\x9b\ud800", frozenset({1}), Result()]
    )
    assert text.isascii()
    assert text.isprintable()
    first, odd, ones, result = json.loads(text)
    assert first == {"at": "2026-01-02T01:04:05Z", "path": "/x\\xff", "raw": "\\x1b\\xfe"}
    assert odd == "\\u202e\\x7f\\x9b\\ud800"
    assert ones == [1]
    assert result["exit"] == 0
    assert json.loads(envelope.dumps("é\x1b\u202e")) == "é\x1b\u202e"
