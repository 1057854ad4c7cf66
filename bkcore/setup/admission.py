"""A server lets a client in: its key, its right to its own repository, and how it is dialled."""

import tomllib
from collections.abc import Mapping
from typing import Any

from bkcore.config.load import load_record, parse_record
from bkcore.errors import BkError, ConfigError, Refused
from bkcore.gate.access import CONF, KEYDIR, Access, Right, access_of
from bkcore.gate.gitosis import parse_access
from bkcore.gate.keys import PublicKey, parse_key
from bkcore.gate.regenerate import keydir
from bkcore.paths import ServerHome
from bkcore.safe import safe
from bkcore.setup import files
from bkcore.setup.identity import CLIENT_USER
from bkcore.setup.pairing import Offer
from bkcore.tick.admin import add, bring_in_force, make_client

# What is added to a gitosis.conf: plain gitosis, then the manual's variant of it.
_FORMS = ("[group {name}]\nwritable = {name}\nmembers = {member}\n", "repo {name}\n\tRW+ = {member}\n")


def admission(server: ServerHome, offer: Offer, more: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """The files of gitosis-admin that must change so that a client is let in; none when it is in already.

    more: further keys of its record, such as quota. Refused when another key is known for this client.
    """
    member = _member(server, offer)
    changes = _key_file(server, offer, member) | _grant(server, member, offer.name) | _record(server, offer, more or {})
    return {path: data for path, data in changes.items() if not _stands(server, path, data)}


def admit(server: ServerHome, offer: Offer, more: Mapping[str, Any] | None = None) -> bool:
    """Let a client in: its files in gitosis-admin, its repository, its pool. Whether anything changed. Repeatable."""
    brought = bring_in_force(server)
    changed = add(server, admission(server, offer, more), f"let {offer.name} in")
    return make_client(server, offer.name) or changed or brought


def key_of(server: ServerHome, client: str) -> str:
    """The public key with which a client pushes, "" for none: a client has one, which is no administrator's."""
    access = access_of(server.root)
    return next((key.line for member, key in keydir(server) if _is_client(access, member, client)), "")


def _member(server: ServerHome, offer: Offer) -> str:
    """The member that the client's key stands for. Refused if the client's name belongs to other keys."""
    key = parse_key(offer.key)
    keys = keydir(server)
    for member, known in keys:
        if known == key:
            return member
    access = access_of(server.root)
    others = {member for member, _ in keys if _is_client(access, member, offer.name)}
    if others:
        names = ", ".join(f"{KEYDIR}/{safe(member)}.pub" for member in sorted(others))
        raise Refused(
            f"{offer.name} is known here with another key than {key.fingerprint}",
            hint=f"if its key was made anew, take {names} out of gitosis-admin first",
        )
    return f"{CLIENT_USER}@{offer.name}"


def _is_client(access: Access, member: str, name: str) -> bool:
    """Whether a member is the client of that name, and no administrator who may write there too."""
    return access.repository(member, name, Right.WRITE) is not None and member not in access.administrators()


def _key_file(server: ServerHome, offer: Offer, member: str) -> dict[str, bytes]:
    key = parse_key(offer.key)
    if any(known == key for _, known in keydir(server)):
        return {}
    return {f"{KEYDIR}/{member}.pub": f"{PublicKey(key.kind, key.blob).line} {member}\n".encode()}


def _grant(server: ServerHome, member: str, name: str) -> dict[str, bytes]:
    if access_of(server.root).repository(member, name, Right.WRITE) is not None:
        return {}
    text = (server.access / CONF).read_text(encoding="utf-8").rstrip("\n")
    for form in _FORMS:
        added = f"{text}\n\n{form.format(name=name, member=member)}"
        if _grants(added, member, name):
            return {CONF: added.encode()}
    raise BkError(
        f"{server.access / CONF} is not in a form that can be added to",
        hint=f"give {member} write access to {name} in gitosis-admin",
    )


def _grants(text: str, member: str, name: str) -> bool:
    try:
        return parse_access(text).repository(member, name, Right.WRITE) == name
    except ConfigError:
        return False


def _record(server: ServerHome, offer: Offer, more: Mapping[str, Any]) -> dict[str, bytes]:
    """clients/<client>.toml with the offer's facts; what else it says stays."""
    path = server.record(offer.name)
    name = f"clients/{offer.name}.toml"
    facts = {
        "format": 1,
        "address": offer.address,
        "port": offer.port,
        "user": offer.user,
        "host-keys": offer.host_keys,
        **more,
    }
    before = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    data = files.table((), {**before, **facts}).split("\n", 1)[1].encode()
    wanted = parse_record(name, data)
    return {} if path.exists() and load_record(path) == wanted else {name: data}


def _stands(server: ServerHome, path: str, data: bytes) -> bool:
    there = server.access / path
    return there.exists() and there.read_bytes() == data
