"""The two files by which a client and a server come to know each other. Neither holds a secret.

The client's offer says who it is and where its data are fetched; the server's answer says where requests go and which
key will come for the data. Both are TOML, at most 64 KiB, with strict keys. Anybody may have changed them on their way,
so each end shows the fingerprints and asks.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from bkcore.config.client import ServerLink, name_faults
from bkcore.config.load import parse_table
from bkcore.config.values import LABEL_RULE, Host, HostKey, Port, PublicKey, Table, Told, User, key_faults, key_is_whole
from bkcore.errors import Malformed
from bkcore.gate.keys import parse_key
from bkcore.modules import MODULES
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import RESERVED_LABELS, is_label
from bkcore.setup import files
from bkcore.setup.identity import Door, name_of, own_host_keys, public_key

LARGEST = 64 << 10
_MOST_KEYS = 16
_MOST_SOURCES = 1000


class Offer(Table, frozen=True, kw_only=True):
    """What a client says. key: with which it will dial. host_keys: of the ssh server where it is dialled.

    sources: the labels of what it has to back up, for the person who lets it in.
    """

    format: Literal[1]
    kind: Literal["offer"]
    name: str
    key: PublicKey
    address: Host
    port: Port = 22
    user: User
    host_keys: list[HostKey]
    sources: list[str] = msgspec.field(default_factory=list)

    def faults(self) -> Iterator[Told]:
        """A name that no client can have, keys that are missing or not whole, too much of anything."""
        yield from name_faults(self.name, MODULES)
        yield from _key_faults(self)
        if len(self.sources) > _MOST_SOURCES:
            yield "sources", f"are more than {_MOST_SOURCES}"
        yield from ((("sources", at), LABEL_RULE) for at, name in enumerate(self.sources) if not is_label(name))


class Answer(Table, frozen=True, kw_only=True):
    """What a server says to one client. key: with which it will fetch. url: where that client's requests go.

    client, client_key: whom it is for.
    """

    format: Literal[1]
    kind: Literal["answer"]
    name: str
    key: PublicKey
    url: str
    host_keys: list[HostKey]
    client: str
    client_key: PublicKey

    @property
    def link(self) -> ServerLink:
        """What a client's configuration says of this server."""
        return ServerLink(url=self.url, host_keys=self.host_keys, data_key=self.key)

    def faults(self) -> Iterator[Told]:
        """A name that cannot be a folder, a url that cannot be dialled, keys that are missing or not whole."""
        if not is_label(self.name) or self.name in RESERVED_LABELS:
            yield "name", LABEL_RULE
        yield from _key_faults(self)
        yield from (told for told in self.link.faults() if told[0] == "url")


def parse_pairing(name: str, data: bytes) -> Offer | Answer:
    """An offer or an answer. name: what faults call the file. ConfigError names every fault; Malformed for others."""
    if len(data) > LARGEST:
        raise Malformed(f"{name} is longer than {LARGEST} bytes: that is no file of `bkcore pair`")
    if not data.strip():
        raise Malformed(f"{name} is empty", hint="was the command that wrote it refused? Look at what it said")
    kinds: dict[Any, type[Offer | Answer]] = {"offer": Offer, "answer": Answer}
    kind = _table(data).get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise Malformed(
            f"{name} is no file of `bkcore pair`: it has no kind offer or answer",
            hint="on the client: bkcore pair --offer > offer.toml",
        )
    return parse_table(name, data, kinds[kind])


def offer_of(client: ClientHome, door: Door, sources: Sequence[str] = ()) -> Offer:
    """A client's offer. sources: the labels of what it has."""
    return Offer(
        format=1,
        kind="offer",
        name=name_of(client),
        key=public_key(client).line,
        address=door.address,
        port=door.port,
        user=door.user,
        host_keys=list(door.host_keys or own_host_keys(client)),
        sources=list(sources)[:_MOST_SOURCES],
    )


def answer_of(server: ServerHome, door: Door, offer: Offer) -> Answer:
    """A server's answer to an offer."""
    address = f"[{door.address}]" if ":" in door.address else door.address
    return Answer(
        format=1,
        kind="answer",
        name=name_of(server),
        key=public_key(server).line,
        url=f"ssh://{door.user}@{address}:{door.port}/{offer.name}.git",
        host_keys=list(door.host_keys or own_host_keys(server)),
        client=offer.name,
        client_key=offer.key,
    )


def written(said: Offer | Answer) -> str:
    """The text of an offer or an answer, as it is given to the other end."""
    where = "the server" if isinstance(said, Offer) else f"the client {said.client}"
    values = {field.encode_name: getattr(said, field.name) for field in msgspec.structs.fields(said)}
    body = files.table((), values).split("\n", 1)[1]
    return f"# The Backup System: for {where}; taken there with: bkcore pair FILE. Nothing in it is secret.\n{body}"


def shown(said: Offer | Answer) -> list[str]:
    """What a person should compare before agreeing, one line each."""
    lines = [f"key       {parse_key(said.key).fingerprint}"]
    lines += [f"host key  {parse_key(key).fingerprint} ({key.split()[0]})" for key in said.host_keys]
    if isinstance(said, Answer):
        return [f"server    {said.name}", f"requests  {said.url}", *lines]
    where = f"{said.user}@{said.address} port {said.port}"
    return [
        f"client    {said.name}",
        f"fetched   {where}",
        *lines,
        f"sources   {', '.join(said.sources) or 'none yet'}",
    ]


def _key_faults(said: Offer | Answer) -> Iterator[Told]:
    for key in ("key", *(["client-key"] if isinstance(said, Answer) else [])):
        if not key_is_whole(getattr(said, key.replace("-", "_"))):
            yield key, "is not a whole key: make the file again"
    if not 1 <= len(said.host_keys) <= _MOST_KEYS:
        yield "host-keys", f"needs one host key at least, and at most {_MOST_KEYS}"
    yield from key_faults("host-keys", said.host_keys)


def _table(data: bytes) -> Mapping[str, Any]:
    """The file as TOML; {} for what is none, which is told where it is looked at closely."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
