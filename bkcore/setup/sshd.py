"""The account of an end in the machine's sshd: a drop-in by which its keys reach the gate and nothing else."""

import re
from collections.abc import Mapping
from pathlib import Path

from bkcore import durable
from bkcore.errors import BkError
from bkcore.process import Done
from bkcore.safe import safe
from bkcore.setup import files
from bkcore.setup.machine import Machine
from bkcore.setup.steps import Step

# A service manager makes it when it starts sshd; `sshd -t` wants it too.
_SEPARATION = re.compile(rb"Missing privilege separation directory: (/\S+)")


def drop_in(machine: Machine, user: str, authorized_keys: Path) -> Step:
    """The drop-in of a user. It is kept only if sshd takes it and goes by it; then a running sshd reads it."""
    path = machine.etc / "ssh" / "sshd_config.d" / f"{user}.conf"
    text = _text(user, authorized_keys).encode()
    return Step(
        f"{path}: {user} may log in with the keys of {authorized_keys}, and gets no terminal and no forwarding",
        lambda: _mark(path).exists() or not path.exists() or path.read_bytes() != text,
        lambda: _make(machine, path, text, user, authorized_keys),
    )


def is_installed(machine: Machine) -> bool:
    """Whether there is an sshd here."""
    return machine.find("sshd") is not None


def _text(user: str, authorized_keys: Path) -> str:
    """X11 and agents are named too: DisableForwarding of OpenSSH before 10.0 forgets them (CVE-2025-32728)."""
    return f"""\
# The Backup System, written by `bkcore init`: the keys of this account lead to its gate, and to nothing else.
Match User {user}
    AuthorizedKeysFile {_quoted(authorized_keys)}
    PubkeyAuthentication yes
    AuthenticationMethods publickey
    PasswordAuthentication no
    DisableForwarding yes
    AllowAgentForwarding no
    X11Forwarding no
    PermitTunnel no
    PermitTTY no
    PermitUserRC no
"""


def _quoted(path: Path) -> str:
    text = str(path).replace("%", "%%")
    return f'"{text}"' if re.search(r"\s", text) else text


def _mark(path: Path) -> Path:
    """Stands while a drop-in was not checked yet: one that died then goes on there. sshd reads only *.conf."""
    return path.with_name(f"{path.name}.unchecked")


def _make(machine: Machine, path: Path, text: bytes, user: str, authorized_keys: Path) -> None:
    if _mark(path).exists():
        durable.remove(path)
    _require_sound(_check(machine), "as it was")
    before = path.read_bytes() if path.exists() else None
    files.put(_mark(path), b"", mode=0o644)
    files.put(path, text, mode=0o644)
    path.chmod(0o644)
    try:
        _require_sound(_check(machine), f"with {path}")
        settings = _in_force(machine, user)
        _require_heeded(settings, path, authorized_keys)
    except BkError:
        _take_back(path, before)
        raise
    _reload(machine, settings.get("pidfile", "none"))
    durable.remove(_mark(path))


def _take_back(path: Path, before: bytes | None) -> None:
    if before is None:
        durable.remove(path)
    else:
        durable.replace(path, before, mode=0o644)
    durable.remove(_mark(path))


def _check(machine: Machine) -> Done:
    """What sshd says of its settings. The folder that it wants at run time is made as its service would."""
    done = machine.run("sshd", "-t")
    missing = _SEPARATION.search(done.err)
    if done.status == 0 or missing is None:
        return done
    Path(missing[1].decode()).mkdir(mode=0o755, parents=True, exist_ok=True)
    return machine.run("sshd", "-t")


def _require_sound(done: Done, when: str) -> None:
    if done.status != 0:
        said = safe(done.err.decode("utf-8", "replace").strip().splitlines()[-1] if done.err.strip() else "", 300)
        raise BkError(
            f"sshd -t refuses its settings {when}: {said}", hint="look at what `sshd -t` says, then do this again"
        )


def _require_heeded(settings: Mapping[str, str], path: Path, authorized_keys: Path) -> None:
    if settings.get("authorizedkeysfile") != str(authorized_keys):
        raise BkError(
            f"{path.parents[1]}/sshd_config does not go by {path}",
            hint=f"let it begin with the line\nInclude {path.parent}/*.conf",
        )


def _in_force(machine: Machine, user: str) -> dict[str, str]:
    """The settings that sshd goes by for that user."""
    done = machine.run("sshd", "-T", "-C", f"user={user},host=localhost,addr=127.0.0.1")
    _require_sound(done, f"for {user}")
    pairs = (line.partition(" ") for line in done.out.decode("utf-8", "replace").splitlines())
    return {key: value for key, _, value in pairs}


def _reload(machine: Machine, pid_file: str) -> None:
    """Tell a running sshd. One that a socket unit starts for each connection reads its settings then."""
    try:
        daemon = int(Path(pid_file).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    machine.reload("sshd", daemon)
