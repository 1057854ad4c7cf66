"""The shapes of a server's bk.toml, and of clients/<client>.toml in gitosis-admin."""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from bkcore.config.client import Mail
from bkcore.config.values import (
    LABEL_RULE,
    Clock,
    Count,
    Duration,
    Host,
    HostKey,
    Port,
    Share,
    Size,
    Table,
    Told,
    User,
    VolumeId,
    Window,
    key_faults,
    positive,
)
from bkcore.request import is_label

_DAY = 86400


class TransferLimits(Table, frozen=True, kw_only=True):
    """Bounds of one fetch. transfer: whole, stall: without a byte; 0 for none.

    rate: bytes a second, 0 for none. retry: the first wait after a failure; each further one is twice as long.
    """

    transfer: Duration = Duration(_DAY)
    stall: Duration = Duration(300)
    rate: Size = Size(0)
    retry: Duration = Duration(300)


class Alarm(Table, frozen=True, kw_only=True):
    """When the administrator is told.

    silence: a client not heard for that long. daily: the time of the daily line, "" for none.
    """

    silence: Duration = Duration(26 * 3600)
    daily: Clock = "07:00"

    def faults(self) -> Iterator[Told]:
        """Spans of nothing."""
        yield from positive("silence", self.silence)


class Maintenance(Table, frozen=True, kw_only=True):
    """What the server does by itself, and in which span of the day ("" for any).

    verify: everything is checked once in that time. drill: a restore is tried once in that time. prune: the rules of
    [retention] are carried out. clean: what was in the trash for long enough is taken away.
    """

    window: Window = ""
    verify: Duration = Duration(30 * _DAY)
    drill: Duration = Duration(7 * _DAY)
    prune: bool = True
    clean: bool = True

    def faults(self) -> Iterator[Told]:
        """Spans of nothing."""
        yield from positive("verify", self.verify)
        yield from positive("drill", self.drill)


class Keep(Table, frozen=True, kw_only=True):
    """How many versions of the sources of one pattern are kept. younger: nothing that is younger is ever removed."""

    last: Count = 0
    hourly: Count = 0
    daily: Count = 0
    weekly: Count = 0
    monthly: Count = 0
    yearly: Count = 0
    within: Duration | None = None
    younger: Duration = Duration(14 * _DAY)

    def faults(self) -> Iterator[Told]:
        """A rule that keeps nothing."""
        counts = (self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly)
        if not any(counts) and not self.within:
            yield (), "keeps nothing: say at least one of last, hourly, daily, weekly, monthly, yearly, within"


class ServerConfig(Table, frozen=True, kw_only=True):
    """A server's bk.toml.

    slots: fetches at a time. reserve: room that is never filled. verify_on_store: whether old frames of a new
    archive are read again. maintenance: None for nothing unasked. retention: by source pattern; without a rule nothing
    is ever removed.
    """

    format: Literal[1]
    role: Literal["server"]
    name: str
    volume: VolumeId = ""
    slots: Annotated[int, msgspec.Meta(ge=1, le=64, description="a whole number from 1 to 64")] = 4
    reserve: Share = Share("5%")
    verify_on_store: Literal["new", "full"] = "new"
    mail: Mail = Mail()
    limits: TransferLimits = TransferLimits()
    alarm: Alarm = Alarm()
    maintenance: Maintenance | None = None
    retention: dict[str, Keep] = msgspec.field(default_factory=dict)

    def faults(self) -> Iterator[Told]:
        """A name that cannot stand in receipts and file names."""
        if not is_label(self.name):
            yield "name", LABEL_RULE


class ClientRecord(Table, frozen=True, kw_only=True):
    """How a server reaches one client: the only place from which it learns a host.

    quota: bytes, None for no bound. restore: whether the client may read its own versions back.
    """

    format: Literal[1]
    address: Host
    port: Port = 22
    user: User = "backupclient"
    host_keys: list[HostKey]
    quota: Size | None = None
    restore: Literal["self", "no"] = "no"

    def faults(self) -> Iterator[Told]:
        """Keys that are missing or not whole."""
        if not self.host_keys:
            yield "host-keys", "needs at least one host key of the client"
        yield from key_faults("host-keys", self.host_keys)
