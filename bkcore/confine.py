"""The launcher: a program that dies with its parent and sees only the folders it was given.

Its main() runs (`… PARENT [--confine] [--run DIR]… [--read DIR]… [--write DIR]… -- PROGRAM ARG…`) in its own child,
because Landlock restricts the calling thread and a parent-death signal is lost at the next fork. It then becomes the
program, so nothing stays between parent and child. It imports nothing of the product, and not `signal`, which is half
as slow as Python itself: it must start in milliseconds.

Landlock: linux/landlock.h, kernel 5.13 and later. Where there is none the program runs unconfined and the first line of
its stderr says so ("bk: unconfined: …").
"""

import _signal  # type: ignore[import-not-found]
import ctypes
import os
import stat
import sys
from collections.abc import Mapping, Sequence

Name = str | bytes

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1

# Access rights of the file system, by the bit numbers of linux/landlock.h.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_READ = _READ_FILE | _READ_DIR
_RUN = _READ | _EXECUTE
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
# How many rights each ABI version knows; rights above are an error there.
_KNOWN = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL = (1 << 16) - 1
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

UNCONFINED = "bk: unconfined: "

# Folders that programs and their libraries lie in.
PROGRAMS = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/gnu/store")
# What a program may look at besides: settings, who and what it is, how names are resolved, randomness.
SETTINGS = (
    "/etc",
    "/proc/self",
    "/sys/devices/system/cpu",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
)
DEVICES = ("/dev/null",)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def available() -> int:
    """The kernel's Landlock ABI version, 0 where there is none."""
    return max(int(_libc().syscall(_CREATE_RULESET, None, 0, 1)), 0)


def confine(run: Sequence[Name], read: Sequence[Name], write: Sequence[Name]) -> None:
    """Restrict this thread, and all it starts, to what lies below these names, which may be files too.

    run: read, and start programs from. read: read only. write: read and write.
    OSError when the kernel refuses. What does not exist is passed over: it cannot be reached anyway.
    """
    version = available()
    if version <= 0:
        raise OSError("this kernel has no Landlock")
    handled = _KNOWN.get(version, _ALL)
    libc = _libc()
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(ctypes.c_uint64(handled)), 8, 0)
    _check(ruleset)
    for rights, names in ((_RUN, run), (_READ, read), (handled & ~_EXECUTE, write)):
        for name in names:
            _allow(libc, ruleset, name, rights & handled)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, name: Name, rights: int) -> None:
    try:
        descriptor = os.open(name, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_ONLY
        rule = _PathBeneath(rights, descriptor)
        _check(libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(descriptor)


def die_with(parent: int) -> None:
    """Ask for SIGKILL when the thread that started this process ends; end now if it has ended already."""
    _libc().prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(137)


def adopt_orphans() -> None:
    """Let descendants that lose their parent become children of this process (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _check(_libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def become(program: str, argv: Sequence[Name], environ: Mapping[str, str]) -> OSError:
    """Turn this process into that program; returns only the reason why that cannot be.

    The signals that Python ignores mean again what they did: who writes into a pipe that nobody reads must end.
    """
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    try:
        os.execve(program, list(argv), environ)
    except OSError as error:
        return error


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(answer: int) -> None:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main(arguments: list[str]) -> None:
    """Become the program. Exit 127 when it cannot be started. PARENT 0: whoever the parent is now."""
    parent, *rest = arguments
    confined = rest[0] == "--confine"
    rest = rest[confined:]
    reach = {"--run": list(PROGRAMS), "--read": list(SETTINGS), "--write": list(DEVICES)}
    while rest[0] != "--":
        reach[rest[0]].append(rest[1])
        rest = rest[2:]
    program = rest[1:]
    die_with(int(parent) or os.getppid())
    if confined:
        try:
            confine(reach["--run"], reach["--read"], reach["--write"])
        except OSError as error:
            print(f"{UNCONFINED}{error.strerror or error}", file=sys.stderr, flush=True)
    reason = become(program[0], program, os.environ)
    print(f"bk: {program[0]}: {reason.strerror}", file=sys.stderr, flush=True)
    sys.exit(127)
