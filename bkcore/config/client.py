"""The shape of a client's bk.toml."""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from bkcore.config.values import (
    LABEL_RULE,
    Address,
    Clock,
    Duration,
    FilePath,
    FromHost,
    HostKey,
    Program,
    PublicKey,
    Size,
    Table,
    Told,
    VolumeId,
    Window,
    key_faults,
    key_is_whole,
    positive,
)
from bkcore.errors import UsageError
from bkcore.request import RESERVED_LABELS, is_client_name, is_label

_URL = re.compile(
    r"ssh://(?P<user>[A-Za-z_][A-Za-z0-9_.-]{0,63})@"
    r"(?P<address>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]{0,253})"
    r"(?::(?P<port>[0-9]{1,5}))?/(?P<repository>[^/]+)\.git"
)


class Mail(Table, frozen=True, kw_only=True):
    """Who is told. sendmail: the program, called `PATH -i ADDRESS…`, "" for none. to: addresses or local users."""

    sendmail: Program = ""
    to: list[Address] = msgspec.field(default_factory=list)


class Schedule(Table, frozen=True, kw_only=True):
    """When a source is due.

    every: the cadence. at: earliest time of day, "" for any. window: the span of the day in which it may start, ""
    for any. limit: alarm when there was no good version for that long.
    """

    every: Duration | None = None
    at: Clock = ""
    window: Window = ""
    limit: Duration | None = None

    def faults(self) -> Iterator[Told]:
        """Spans of nothing."""
        yield from positive("every", self.every)
        yield from positive("limit", self.limit)


class ServerLink(Table, frozen=True, kw_only=True):
    """One backup server as a client knows it.

    url: "ssh://user@host[:port]/client.git". host_keys: the server's, pinned. key: the client's private key, relative
    to the home. data_key: the server's public key that may fetch, "" until paired. from_ ("from" in the file): where
    that key may be used from. silence: alarm when nothing was heard for that long.
    """

    url: str
    host_keys: list[HostKey]
    key: FilePath = ".ssh/id_ed25519"
    data_key: PublicKey = ""
    from_: list[FromHost] = msgspec.field(default_factory=list, name="from")
    silence: Duration = Duration(26 * 3600)

    @property
    def user(self) -> str:
        """The account on the server."""
        return self._part("user")

    @property
    def address(self) -> str:
        """The server's host name or address, without the brackets of IPv6."""
        return self._part("address").strip("[]")

    @property
    def port(self) -> int:
        """The ssh port, 22 unless the url says another."""
        return int(self._part("port") or 22)

    @property
    def repository(self) -> str:
        """The control repository as the server names it: "web1.git"."""
        return self._part("repository") + ".git"

    def _part(self, name: str) -> str:
        match = _URL.fullmatch(self.url)
        return (match[name] or "") if match else ""

    def faults(self) -> Iterator[Told]:
        """A url that cannot be dialled, keys that are not whole."""
        match = _URL.fullmatch(self.url)
        if match is None or not is_client_name(match["repository"]):
            yield "url", 'must look like "ssh://backupsrv@backup.example.org:22/web1.git"'
        elif match["port"] and not 1 <= int(match["port"]) <= 65535:
            yield "url", "the port must be from 1 to 65535"
        if not self.host_keys:
            yield "host-keys", "needs at least one host key of the server"
        yield from key_faults("host-keys", self.host_keys)
        if self.data_key and not key_is_whole(self.data_key):
            yield "data-key", "is not a whole key: copy it again"
        yield from positive("silence", self.silence)


class SourceOptions(Table, tag_field="module", frozen=True, kw_only=True):
    """What every source may say; each module adds its keys in a subclass (`tag=` its name, `kw_only=True`).

    every, at, window, limit: in place of those of [schedule]. timeout: of preparing, 0 for none. before, after:
    programs (full path and words) run around preparing. exclude: patterns. nice: of what is run for it.
    """

    every: Duration | None = None
    at: Clock | None = None
    window: Window | None = None
    limit: Duration | None = None
    timeout: Duration = Duration(2 * 3600)
    before: list[str] = msgspec.field(default_factory=list)
    after: list[str] = msgspec.field(default_factory=list)
    exclude: list[str] = msgspec.field(default_factory=list)
    nice: int = 10

    @property
    def module(self) -> str:
        """The module's name, as the file says it."""
        return str(self.__struct_config__.tag)

    @property
    def place(self) -> str:
        """Where its one thing lies; with the module it tells the source from all others. "" when the label does."""
        return (getattr(self, "path", None) or "").rstrip("/")

    def schedule(self, default: Schedule) -> Schedule:
        """When this source is due: its own words, else the default's."""
        return Schedule(
            every=default.every if self.every is None else self.every,
            at=default.at if self.at is None else self.at,
            window=default.window if self.window is None else self.window,
            limit=default.limit if self.limit is None else self.limit,
        )

    def faults(self) -> Iterator[Told]:
        """Spans of nothing, a nice out of range. Modules that override this yield from it first."""
        yield from positive("every", self.every)
        yield from positive("limit", self.limit)
        if not 0 <= self.nice <= 19:
            yield "nice", "must be from 0 to 19"


class ClientConfig(Table, frozen=True, kw_only=True):
    """A client's bk.toml. outbox_limit: bytes that prepared archives may take.

    volume: the id of the home's disk. retry: the first wait after a failure; each further one is twice as long.
    """

    format: Literal[1]
    role: Literal["client"]
    name: str
    default_server: str = ""
    outbox_limit: Size = Size(20 << 30)
    volume: VolumeId = ""
    retry: Duration = Duration(300)
    mail: Mail = Mail()
    schedule: Schedule = Schedule()
    server: dict[str, ServerLink] = msgspec.field(default_factory=dict)
    source: dict[str, SourceOptions] = msgspec.field(default_factory=dict)

    def server_name(self, text: str = "") -> str:
        """The name of the server that a person means: "" is the default one; a name, a host or a url as in the manual.

        UsageError when there is none such.
        """
        if not text:
            return self._default()
        if text in self.server:
            return text
        for name, link in self.server.items():
            if text in (link.url, link.address, f"{link.user}@{link.address}"):
                return name
        known = ", ".join(self.server) or "none"
        raise UsageError(f"there is no server {text} in this client's configuration", hint=f"known servers: {known}")

    def _default(self) -> str:
        if self.default_server:
            return self.default_server
        if len(self.server) == 1:
            return next(iter(self.server))
        raise UsageError("no server is named and there is no default-server", hint="set default-server in bk.toml")

    def faults(self) -> Iterator[Told]:
        """Names that cannot be folders, and a default server that does not exist."""
        if self.default_server and self.default_server not in self.server:
            yield "default-server", f"there is no [server.{self.default_server}] in this file"
        for kind, names in (("server", self.server), ("source", self.source)):
            for name in names:
                if name in RESERVED_LABELS:
                    yield (kind, name), "this name is taken by a folder of the store: use another"
                elif not is_label(name):
                    yield (kind, name), LABEL_RULE
        yield from self._doubled()

    def _doubled(self) -> Iterator[Told]:
        """Sources that a server could not tell apart: of two only one would ever be backed up."""
        first: dict[tuple[str, str], str] = {}
        for name, options in self.source.items():
            other = first.setdefault((options.module, options.place or f"\0{name}"), name)
            if other != name:
                yield ("source", name), f"is the same as [source.{other}]: the module and what it backs up"


def name_faults(name: str, modules: Iterable[str]) -> Iterator[tuple[str, str]]:
    """A fault if a client cannot have that name: it is a folder and a repository beside those of the system."""
    if not is_client_name(name):
        yield "name", 'must be made of a-z, 0-9, "." and "-", and start with a letter or digit'
    elif name in (*modules, "gitosis-admin"):
        yield "name", "is a name that the system uses itself: no client can have it"
