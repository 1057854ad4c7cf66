"""What a request's steps said, from a byte on, and what they say from now on."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from bkcore.errors import NothingMatched
from bkcore.paths import Home
from bkcore.request import is_id

_BLOCK = 1 << 16
_LOOK_SECONDS = 0.25


async def read(home: Home, request: str, offset: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The log's bytes in blocks. NothingMatched when there is none."""
    path = home.log / f"{request}.log"
    if not is_id(request) or not await asyncio.to_thread(path.exists):
        raise NothingMatched(f"there is no log of {request} here", hint="its steps said nothing yet")
    while True:
        block = await asyncio.to_thread(_block, path, offset)
        offset += len(block)
        if block:
            yield block
        elif follow:
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            return


def _block(path: Path, offset: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(descriptor, _BLOCK, max(offset, 0))
    finally:
        os.close(descriptor)
