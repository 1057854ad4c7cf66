"""bkcore client: whom this server backs up, and by which rules."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import home_of, own_home, require_known
from bkcore.cli.options import Verb, Verbs
from bkcore.config.load import load_record
from bkcore.config.server import ClientRecord
from bkcore.errors import UsageError
from bkcore.paths import ClientHome, ServerHome
from bkcore.safe import safe

_NO_QUOTA = "none"


@click.group(cls=Verbs)
def client() -> None:
    """The clients of this server."""


@client.command(
    cls=Verb,
    examples=[
        "bkcore client add web3 --key-file web3.pub --host-key-file web3-host.pub --quota 200G",
        "bkcore client add web3 --restore self",
    ],
)
@click.argument("name", metavar="NAME")
@click.option("--address", default="", help="Where it is dialled; by default its name.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port of its ssh server; else 22.")
@click.option("--user", default="", help="The account there; else backupclient.")
@click.option("--key-file", type=click.Path(path_type=Path), help="Its public key, with which it will push.")
@click.option(
    "--host-key-file",
    "host_key_files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A public host key of its ssh server; repeatable.",
)
@click.option("--quota", default="", metavar="SIZE", help="The most that is stored of it, such as 200G.")
@click.option("--restore", type=click.Choice(["self", "no"]), help="Whether it may read its own versions back.")
def add(frame: Frame, name: str, **how: Any) -> Result:
    """Let a client in, or change what is known of one: only what is said changes. Doing it twice changes nothing.

    A new one needs its key and a host key. What is written is a commit in gitosis-admin, as if it were pushed there.
    """
    from bkcore import journal
    from bkcore.setup.admission import admission, admit

    home = _server(frame, "client add", writing=True)
    offer, more = _offer(home, name, how), _rules(how)
    changes = admission(home, offer, more)
    if frame.dry_run:
        return Result(sorted(changes), [f"would change {path}" for path in sorted(changes)] or ["nothing would change"])
    changed = admit(home, offer, more)
    if changed:
        journal.write(home.root, "client changed", client=name, files=sorted(changes))
    record = load_record(home.record(name))
    return Result(_data(name, record), [*_lines(name, record)], changed=changed)


@client.command("list", cls=Verb, examples=["bkcore client list", "bkcore client list --json"])
def list_(frame: Frame) -> Result:
    """All clients, and how they are dialled."""
    home = _server(frame, "client list")
    known = {name: _record(home, name) for name in _names(home)}
    width = max(map(len, known), default=0)
    lines = [f"{name:<{width}}  {_short(record)}" for name, record in known.items()]
    return Result([_data(name, record) for name, record in known.items()], lines)


@client.command(cls=Verb, examples=["bkcore client show web1"])
@click.argument("name", metavar="NAME")
def show(frame: Frame, name: str) -> Result:
    """What is known of one client."""
    home = _server(frame, "client show")
    require_known("client", name, _names(home))
    record = _record(home, name)
    return Result(_data(name, record), [*_lines(name, record)])


def _server(frame: Frame, verb: str, *, writing: bool = False) -> ServerHome:
    home = own_home(frame, verb, plans=True) if writing else home_of(frame)
    if isinstance(home, ClientHome):
        raise UsageError(f"{home.root} is a client's home, and {verb} is for a server's", hint="run it at the server")
    return home


def _names(home: ServerHome) -> list[str]:
    from bkcore.gate.access import access_of
    from bkcore.gate.regenerate import keydir
    from bkcore.gate.rules import Rules

    keys = {key: member for member, key in keydir(home)}
    granted = Rules(access_of(home.root), keys, {}).clients()
    return sorted({*granted, *(path.stem for path in home.record("x").parent.glob("*.toml"))})


def _record(home: ServerHome, name: str) -> ClientRecord | None:
    """None: it may push, and nobody said how to reach it."""
    path = home.record(name)
    return load_record(path) if path.exists() else None


def _offer(home: ServerHome, name: str, how: dict[str, Any]) -> Any:
    """What the client would say itself, with what is known where nothing is said now. UsageError, ConfigError."""
    import tomli_w

    from bkcore.setup.admission import key_of
    from bkcore.setup.pairing import parse_pairing

    known = _record(home, name)
    key = _first_line(how["key_file"]) if how["key_file"] else key_of(home, name)
    host_keys = [_first_line(path) for path in how["host_key_files"]] or (list(known.host_keys) if known else [])
    for missing, option in ((key, "--key-file"), (host_keys, "--host-key-file")):
        if not missing:
            raise UsageError(f"{safe(name)} is new here: {option} is needed", hint="or bkcore pair, by two files")
    said = {
        "format": 1,
        "kind": "offer",
        "name": name,
        "key": key,
        "address": how["address"] or (known.address if known else name),
        "port": how["port"] or (known.port if known else 22),
        "user": how["user"] or (known.user if known else "backupclient"),
        "host-keys": host_keys,
    }
    return parse_pairing("what is said", tomli_w.dumps(said).encode())


def _rules(how: dict[str, Any]) -> dict[str, str]:
    return {name: how[name] for name in ("quota", "restore") if how[name]}


def _first_line(path: Path) -> str:
    """The key in a file: without its comment. UsageError: there is none."""
    words = path.read_text(encoding="utf-8", errors="replace").split()
    if len(words) < 2 or "PRIVATE" in words[:4]:
        raise UsageError(f"{safe(str(path))} is no public key", hint="it ends in .pub")
    return " ".join(words[:2])


def _data(name: str, record: ClientRecord | None) -> dict[str, Any]:
    if record is None:
        return {"name": name, "configured": False}
    return {
        "name": name,
        "configured": True,
        "address": record.address,
        "port": record.port,
        "user": record.user,
        "host-keys": list(record.host_keys),
        "quota": record.quota,
        "restore": record.restore,
    }


def _short(record: ClientRecord | None) -> str:
    if record is None:
        return "not configured: nobody said how to reach it"
    own = "may restore itself" if record.restore == "self" else "may not read its versions"
    return f"{safe(record.user)}@{safe(record.address)}:{record.port}, {own}"


def _lines(name: str, record: ClientRecord | None) -> Iterator[str]:
    yield f"{'name':<9} {safe(name)}"
    if record is None:
        yield _short(record)
        return
    yield f"{'dialled':<9} {safe(record.user)}@{safe(record.address)}:{record.port}"
    yield from (f"{'host key':<9} {safe(key)}" for key in record.host_keys)
    yield f"{'quota':<9} {record.quota if record.quota is not None else _NO_QUOTA}"
    yield f"{'restore':<9} {record.restore}"
