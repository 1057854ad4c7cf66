"""Every fault of a configuration file in one answer: file, line, dotted key, what is wrong, and what may be meant.

Only a file with a fault comes here, so this may take its time.
"""

import re
import tomllib
from dataclasses import dataclass
from typing import Any

import msgspec

from bkcore.config.client import ClientConfig
from bkcore.config.finder import Finder, Found
from bkcore.config.lines import KeyPath, key_lines, nearest_line
from bkcore.config.load import Modules
from bkcore.config.values import Table
from bkcore.errors import ConfigError
from bkcore.safe import safe
from bkcore.state import Role

_WHERE = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. key: dotted, "" for the file itself. line: from 1. near: the known word that may be meant, or ""."""

    file: str
    key: str
    line: int
    text: str
    near: str = ""

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        near = f" (did you mean {self.near}?)" if self.near else ""
        return safe(f"{self.file}:{self.line}: {key}{self.text}{near}")


class Faults(ConfigError):
    """A file with faults; the text has one line for each."""

    def __init__(self, faults: list[Fault], hint: str = "") -> None:
        super().__init__("\n".join(map(str, faults)), hint=hint)
        self.faults = tuple(faults)

    @classmethod
    def of_client(cls, data: bytes, file: str, modules: Modules) -> "Faults":
        """The faults of a client's bk.toml."""
        return cls(find_client(data, file, modules), hint="bkcore config example shows every key of a client")

    @classmethod
    def of_table(cls, data: bytes, file: str, kind: type[Table]) -> "Faults":
        """The faults of a server's bk.toml or of a client's record."""
        is_home = "role" in kind.__struct_fields__
        keys = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
        hint = "bkcore config example shows every key of a server" if is_home else f"the keys: {keys}"
        return cls(_find(data, file, kind, {}), hint=hint)

    @classmethod
    def of_role(cls, data: bytes, file: str) -> "Faults":
        """What keeps a file from saying which end it is of."""
        try:
            table = _decode(data)
        except _Unreadable as error:
            return cls([error.fault(file)], hint="bkcore config example shows a whole file")
        said = "is missing" if "role" not in table else "is neither"
        lines = key_lines(data.decode("utf-8"))
        fault = Fault(file, "role", nearest_line(lines, ("role",)), f'{said}: it must be "client" or "server"')
        return cls([fault], hint="bkcore config example shows a whole file")


def find_client(data: bytes, file: str, modules: Modules) -> list[Fault]:
    """The faults of a client's bk.toml, in the order of their lines; none when it is sound."""
    return _find(data, file, ClientConfig, modules)


def _find(data: bytes, file: str, kind: type[Table], modules: Modules) -> list[Fault]:
    try:
        table = _decode(data)
    except _Unreadable as error:
        return [error.fault(file)]
    found = _wrong_file(table, kind) or Finder(modules).find(table, kind)
    lines = key_lines(data.decode("utf-8"))
    faults = [Fault(file, dotted(each.path), nearest_line(lines, each.path), each.text, each.near) for each in found]
    return sorted(faults, key=lambda fault: fault.line)


def _wrong_file(table: dict[str, Any], kind: type[Table]) -> list[Found]:
    """A file of another format or role: nothing else that could be said of it would help."""
    form, role = table.get("format"), table.get("role")
    if isinstance(form, int) and form != 1:
        return [Found(("format",), f"format {form} is not known here: this version reads format 1")]
    wanted = Role.CLIENT if kind is ClientConfig else Role.SERVER
    if "role" in kind.__struct_fields__ and role in tuple(Role) and role != wanted:
        return [Found(("role",), f"this is the file of a {role}, and that of a {wanted} is wanted")]
    return []


def dotted(path: KeyPath) -> str:
    """A key path as people write it: source.home.exclude[2], quoted where TOML asks for it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.fullmatch(part) else _quoted(part))
    return text


def _quoted(part: str) -> str:
    return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Unreadable(Exception):
    """Not TOML at all. line: where reading ended."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text

    def fault(self, file: str) -> Fault:
        return Fault(file, "", self.line, self.text)


def _decode(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8")
        if text.startswith("\ufeff"):
            raise _Unreadable(1, "starts with a byte order mark: save it as plain UTF-8")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _Unreadable(line, f"byte {data[error.start]:#04x} is not UTF-8 text") from None
    except RecursionError:
        raise _Unreadable(1, "is nested too deeply") from None
    except ValueError as error:
        raise _Unreadable(*_place(str(error), text)) from None


def _place(message: str, text: str) -> tuple[int, str]:
    """The line and the words of tomllib's complaint."""
    match = _WHERE.search(message)
    words = _WHERE.sub("", message)
    line = int(match[1]) if match and match[1] else text.rstrip("\n").count("\n") + 1
    return line, f"is not TOML: {words[:1].lower()}{words[1:]}"
