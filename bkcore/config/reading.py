"""The bytes of a configuration file. Apart from what they mean, because the gate needs no more for gitosis.conf."""

import os
import stat
from pathlib import Path

from bkcore.errors import ConfigError

MAX_FILE = 1 << 20

_EXAMPLE = "bkcore config example shows one"


def read_file(path: Path) -> bytes:
    """The bytes of a configuration file, which must be a plain file of at most 1 MiB. ConfigError if it is not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigError(f"{path} is not a plain file", hint=_EXAMPLE)
        return _read_all(descriptor, path)
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, path: Path) -> bytes:
    data = bytearray()
    while block := os.read(descriptor, 1 << 16):
        data += block
        if len(data) > MAX_FILE:
            raise ConfigError(f"{path} is longer than {MAX_FILE} bytes: that is no configuration", hint=_EXAMPLE)
    return bytes(data)


def _unreadable(path: Path, error: OSError) -> ConfigError:
    if path.is_symlink():
        return ConfigError(f"{path} is a symbolic link, not a plain file", hint="put the file itself in its place")
    if isinstance(error, FileNotFoundError):
        return ConfigError(f"there is no {path}", hint=_EXAMPLE)
    return ConfigError(f"{path} cannot be read: {error.strerror}", hint="run as the user who owns it")
