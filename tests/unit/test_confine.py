"""What a confined program can see, and how it is started."""

import signal
import sys
from pathlib import Path

import pytest

from bkcore import confine
from bkcore.process import Done, Reach, run

INSIDE = pytest.mark.skipif(confine.available() == 0, reason="this kernel has no Landlock")


def inside(reach: Reach, *argv: str, **env: str) -> Done:
    return run(argv, reach=reach, env=env, total=30)


@INSIDE
def test_any_program_has_what_any_program_needs() -> None:
    for argv in (
        ("cat", "/etc/passwd"),
        ("sh", "-c", "echo x >/dev/null; head -c 1 /dev/urandom; id"),
        ("git", "--version"),
        ("ssh", "-V"),
        (sys.executable, "-I", "-c", "import msgspec, bkcore.safe"),
    ):
        done = inside(Reach(), *argv, GIT_CONFIG_GLOBAL="/dev/null")
        assert (done.status, b"ermission denied" in done.err) == (0, False), done


@INSIDE
def test_nothing_else_is_read_or_written(tmp_path: Path) -> None:
    secret, given = tmp_path / "secret", tmp_path / "given"
    given.mkdir()
    secret.write_text("secret")
    (given / "link").symlink_to(secret)
    reach = Reach(write=(given,))
    assert inside(reach, "cat", str(secret)).out == b""
    assert inside(reach, "cat", str(given / "link")).out == b""
    assert inside(reach, "ls", str(tmp_path)).status != 0
    assert inside(reach, "sh", "-c", f"echo x > {secret}").status != 0
    assert inside(reach, "mv", str(secret), str(given)).status != 0
    assert secret.read_text() == "secret"
    assert inside(reach, "sh", "-c", f"echo x > {given}/new && cat {given}/new").out == b"x\n"


@INSIDE
def test_what_may_be_read_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    reach = Reach(read=(tmp_path,))
    assert inside(reach, "cat", str(tmp_path / "file")).out == b"text"
    for words in (("touch", f"{tmp_path}/new"), ("rm", f"{tmp_path}/file"), ("truncate", "-s0", f"{tmp_path}/file")):
        assert inside(reach, *words).status != 0


@INSIDE
def test_one_file_can_be_given_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    reach = Reach(read=(tmp_path / "one",))
    assert inside(reach, "cat", str(tmp_path / "one"), str(tmp_path / "two")).out == b"one"


@INSIDE
def test_programs_start_only_where_programs_lie(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    for reach in (Reach(read=(tmp_path,)), Reach(write=(tmp_path,))):
        assert inside(reach, "sh", "-c", str(program)).out == b""
    assert inside(Reach(run=(tmp_path,)), "sh", "-c", str(program)).out == b"ran\n"


@INSIDE
def test_the_ssh_that_is_named_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("BK_SSH", str(tmp_path / "ssh"))
    assert inside(Reach(), "sh", "-c", '"$BK_SSH"').out == b"ran\n"


def test_a_program_meets_the_signals_that_python_ignores() -> None:
    status = run(["cat", "/proc/self/status"]).out.decode()
    ignored = int(next(line for line in status.splitlines() if line.startswith("SigIgn:")).split()[1], 16)
    assert ignored & (1 << (signal.SIGPIPE - 1)) == 0


def test_a_program_that_cannot_be_started_is_127(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a program")
    (tmp_path / "text").chmod(0o755)
    done = run([str(tmp_path / "text")])
    assert (done.status, done.err[:4]) == (127, b"bk: ")


def test_without_landlock_it_says_so_first_and_goes_on() -> None:
    code = "import os; from bkcore import confine; confine.available = lambda: 0\n"
    code += "confine.main([str(os.getppid()), '--confine', '--', '/bin/echo', 'ran'])"
    done = run([sys.executable, "-I", "-c", code])
    assert (done.status, done.out) == (0, b"ran\n")
    assert done.err == b"bk: unconfined: this kernel has no Landlock\n"
