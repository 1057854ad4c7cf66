"""`bkcore serve`: an embedded ssh server that does what sshd does with the same authorized_keys, and no more.

It lets in the keys whose line has `restrict` and a forced command, starts that command as a child of its own with what
was asked for in SSH_ORIGINAL_COMMAND, and carries bytes. What a key may do is decided in the child, as behind sshd.
"""

from collections.abc import Callable
from pathlib import Path

from bkcore.paths import SERVING

STATE = SERVING


def serve(home: Path, address: str, port: int, ready: Callable[[int], None] = lambda _: None) -> None:
    """Serve a home until SIGTERM or SIGINT. port: 0 for any free one.

    ready: called with the port once connections are taken; by then <home>/serve.json says it too. BkError when the
    address cannot be listened on.
    """
    import asyncio

    from bkcore.server.listen import listen

    asyncio.run(listen(home.absolute(), address, port, ready))
