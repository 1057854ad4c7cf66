"""Themes: files that say which colours the console has. Every fault of a file is found before Textual sees a colour.

The form is described in themes/dark.toml.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from textual.color import Color, ColorParseError
from textual.theme import Theme

from bkconsole.tones import CURSOR, TONES, variables
from bkcore.errors import ConfigError
from bkcore.safe import safe

DEFAULT = "dark"
SHIPPED = Path(__file__).parent / "themes"
_FORMAT = 1
_LARGEST = 64 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_COLORS = frozenset(
    ("background", "surface", "panel", "foreground", "primary", "secondary", "accent", "success", "warning", "error")
)
_TABLES = {"colors": _COLORS, "tones": TONES, "lines": frozenset(CURSOR)}
_TOP = frozenset({"format", "name", "dark", "variables", *_TABLES})


class Loaded(NamedTuple):
    """The themes that can be used, and why others cannot."""

    themes: tuple[Theme, ...]
    faults: tuple[ConfigError, ...]


def users_folder() -> Path:
    """Where a person keeps themes of their own."""
    return Path.home() / ".config" / "bkconsole" / "themes"


def load(users: Path | None = None) -> Loaded:
    """All themes, the shipped ones first. A broken file is named and left out. users: default users_folder()."""
    themes: dict[str, Theme] = {}
    faults = []
    for path in (*_files(SHIPPED), *_files(users or users_folder())):
        try:
            theme = read(path)
            themes[theme.name] = theme
        except ConfigError as error:
            faults.append(error)
    return Loaded(tuple(themes.values()), tuple(faults))


def read(path: Path) -> Theme:
    """One theme. ConfigError with a line for each fault."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise _broken(path, [f"larger than {_LARGEST} bytes"])
        said = tomllib.loads(content.decode())
    except OSError as error:
        raise _broken(path, [error.strerror or str(error)]) from error
    except ValueError as error:
        raise _broken(path, [str(error)]) from error
    faults = list(_faults(said))
    if faults:
        raise _broken(path, faults)
    return _theme(said)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError:
        return []


def _broken(path: Path, faults: Iterable[str]) -> ConfigError:
    lines = "\n".join(f"{safe(str(path))}: {safe(fault)}" for fault in faults)
    return ConfigError(lines, hint="the form of a theme is described in the dark theme that is shipped")


def _theme(said: Mapping[str, Any]) -> Theme:
    tones = {name: _plain(color) for name, color in said["tones"].items()}
    lines = {name: _plain(color) for name, color in said["lines"].items()}
    # Textual's own way to mute text is a veil, whose contrast nobody checks.
    named = {"text-muted": tones["faint"], "foreground-muted": tones["faint"]} | variables(tones, lines)
    own = {name: _plain(color) for name, color in said.get("variables", {}).items()}
    colors: dict[str, Any] = {name: _plain(color) for name, color in said["colors"].items()}
    return Theme(name=said["name"], dark=said["dark"], variables=named | own, **colors)


def _plain(color: str) -> str:
    return Color.parse(color).hex6


def _faults(said: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown("", said, _TOP)
    if said.get("format") != _FORMAT:
        yield f"format: must be {_FORMAT}"
    if not (isinstance(said.get("name"), str) and _NAME.fullmatch(said["name"])):
        yield "name: must be a word of a-z, 0-9 and -"
    if not isinstance(said.get("dark"), bool):
        yield "dark: must be true or false"
    for table, keys in _TABLES.items():
        yield from _table_faults(table, said.get(table, {}), keys, needed=keys)
    yield from _table_faults("variables", said.get("variables", {}), _textual_variables(), needed=frozenset())


def _table_faults(table: str, said: Any, keys: frozenset[str], *, needed: frozenset[str]) -> Iterator[str]:
    if not isinstance(said, dict):
        yield f"{table}: must be a table"
        return
    yield from _unknown(f"{table}.", said, keys)
    for key in sorted(needed - said.keys()):
        yield f"{table}.{key}: is missing"
    for key in sorted(keys & said.keys()):
        yield from _color_faults(f"{table}.{key}", said[key])


def _unknown(before: str, said: Iterable[str], known: frozenset[str]) -> Iterator[str]:
    for key in sorted(set(said) - known):
        near = difflib.get_close_matches(key, known, 1)
        yield f"{before}{key}: nobody knows this key" + (f"; is it {near[0]}?" if near else "")


def _color_faults(key: str, color: Any) -> Iterator[str]:
    try:
        parsed = Color.parse(color) if isinstance(color, str) else None
    except ColorParseError:
        parsed = None
    if parsed is None:
        yield f'{key}: {color!r} is no colour; say "#rrggbb"'
    elif parsed.ansi is not None or parsed.auto:
        yield f"{key}: {color!r} is a colour of the terminal, which turns black with NO_COLOR"
    elif parsed.a != 1:
        yield f"{key}: {color!r} can be seen through; what lies below decides if it can be read"


@cache
def _textual_variables() -> frozenset[str]:
    """The theme variables of Textual that are colours."""
    made = Theme(name="any", primary="#000000").to_color_system().generate()
    return frozenset(name for name in made if "style" not in name) - _COLORS
