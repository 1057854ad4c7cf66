"""Tones: the roles that colours are given to. A theme says the colour, widgets say only the role."""

from collections.abc import Mapping
from functools import lru_cache

from rich.style import Style
from textual.color import Color, ColorParseError

# The dark theme's colours; they hold where a theme that is not ours is in force.
COLORS = {
    "ok": "#8cc28a",
    "running": "#6cb6ff",
    "waiting": "#b4bfce",
    "partial": "#dcbb5e",
    "late": "#f2a65a",
    "unknown": "#c8a2f5",
    "never": "#e79ac8",
    "failed": "#ff8a80",
    "damaged": "#ff7ab0",
    "faint": "#9aa5b5",
    "strong": "#ffffff",
    "accent": "#78cbd9",
}
CURSOR = {"cursor": "#2c3747", "cursor-blurred": "#222a36"}

TONES = frozenset(COLORS)
_BOLD = frozenset({"strong", "damaged", "failed"})


def variables(colors: Mapping[str, str] = COLORS, cursor: Mapping[str, str] = CURSOR) -> dict[str, str]:
    """The variables that style sheets and widgets know the colours by: `$tone-<tone>`, `$line-<name>`."""
    named = {f"tone-{tone}": color for tone, color in colors.items()}
    return named | {f"line-{name}": color for name, color in cursor.items()}


_DEFAULTS = variables()


def tone_style(theme: Mapping[str, str], tone: str) -> Style:
    """How text of a tone is written, "" or an unknown one: as text is. theme: an app's theme_variables."""
    if tone not in TONES:
        return Style.null()
    return _written(theme.get(f"tone-{tone}", ""), tone)


def cursor_style(theme: Mapping[str, str], *, focused: bool, color: bool) -> Style:
    """What lies under the line with the cursor; without colour it is reversed, and underlined while focus is away."""
    if not color:
        return Style(reverse=True) if focused else Style(underline=True)
    name = "line-cursor" if focused else "line-cursor-blurred"
    return _laid_under(theme.get(name, ""), name)


@lru_cache(256)
def _written(color: str, tone: str) -> Style:
    return Style(color=_rich(color, f"tone-{tone}"), bold=True if tone in _BOLD else None)


@lru_cache(64)
def _laid_under(color: str, name: str) -> Style:
    return Style(bgcolor=_rich(color, name))


def _rich(color: str, name: str) -> str:
    try:
        return Color.parse(color or _DEFAULTS[name]).hex6
    except ColorParseError:
        return _DEFAULTS[name]
