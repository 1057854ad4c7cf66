"""Lines of a pass: opened for one exchange or transfer, or held for several."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bkcore.config.load import load_record
from bkcore.config.server import ClientRecord
from bkcore.errors import BkError, NotNow
from bkcore.tick.ends import ClientEnd, ServerEnd, scratch

if TYPE_CHECKING:
    from bkcore.ssh import Line, Remote


def to_server(end: ClientEnd, server: str) -> "Remote":
    """How that server is dialled: as bk.toml says."""
    from bkcore.ssh import Remote

    link = end.config.server[server]
    key = end.home.root / link.key
    return Remote(server, link.user, link.address, link.port, tuple(link.host_keys), key)


def record_of(end: ServerEnd, client: str) -> ClientRecord:
    """How a client is dialled, and its quota. NotNow (not-configured) when nobody said; ConfigError."""
    path = end.home.record(client)
    if not path.exists():
        raise NotNow(
            f"{client} has no clients/{client}.toml in gitosis-admin: nobody said how to reach it",
            hint=f"say it in {path}: format = 1, address, host-keys",
            code="not-configured",
        )
    return load_record(path)


def to_client(end: ServerEnd, client: str, record: ClientRecord) -> "Remote":
    """How that client is dialled: as its record says, whatever a request says."""
    from bkcore.ssh import Remote

    key = end.home.ssh / "id_ed25519"
    return Remote(client, record.user, record.address, record.port, tuple(record.host_keys), key)


@contextmanager
def opened(remote: "Remote", tmp: Path) -> Iterator["Line"]:
    """A connection for the block. tmp: the home's. What ssh.line raises."""
    from bkcore import ssh

    with scratch(tmp) as folder, ssh.line(remote, folder, shared=True) as line:
        yield line


class HeldLine:
    """A connection that is kept from use to use and made anew after it broke. It ends with the thread that began it."""

    def __init__(self, remote: "Remote", tmp: Path) -> None:
        self._remote = remote
        self._tmp = tmp
        self._open = ExitStack()
        self._opening: Callable[[], Line] | None = None
        self._line: Line | None = None

    def __enter__(self) -> Self:
        """Begin to open it, if that can be done; whoever uses it waits until it is there."""
        with suppress(BkError, OSError):
            self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def use(self) -> Iterator["Line"]:
        """The connection for a block, opened if it is not. An error within makes the next block open another."""
        try:
            yield self._take()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of it."""
        self._line = self._opening = None
        self._open.close()

    def _take(self) -> "Line":
        if self._line is not None and not self._line.is_open:
            self.close()
        if self._line is None:
            self._line = self._begin()()
        return self._line

    def _begin(self) -> Callable[[], "Line"]:
        from bkcore import ssh

        if self._opening is None:
            folder = self._open.enter_context(scratch(self._tmp))
            self._opening = self._open.enter_context(ssh.opening(self._remote, folder))
        return self._opening


class LastLine:
    """The line to whoever was served last, kept for what comes next of the same. For one thread."""

    def __init__(self, tmp: Path) -> None:
        self._tmp = tmp
        self._remote: Remote | None = None
        self._held = ExitStack()
        self._line: HeldLine | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def to(self, remote: "Remote") -> HeldLine:
        """The line to that one, which is being opened."""
        if self._line is None or self._remote != remote:
            self._held.close()
            self._line, self._remote = self._held.enter_context(HeldLine(remote, self._tmp)), remote
        return self._line
