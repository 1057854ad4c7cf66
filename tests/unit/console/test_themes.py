"""Themes can be read by everybody, tones are told apart, and a broken theme is named and left out."""

from itertools import combinations
from pathlib import Path

import pytest
from fakes.console_app import Around, Rows, rows
from textual.color import Color
from textual.theme import Theme

from bkconsole import themes, tones
from bkconsole.widgets.line_list import Column, LineList
from bkcore.errors import ConfigError

SHIPPED = themes.load(Path("/nowhere")).themes
DARK = (themes.SHIPPED / "dark.toml").read_text()
LEAST_CONTRAST = 4.5
# CIE 1976: about 2.3 is the least difference that eyes notice side by side.
LEAST_DIFFERENCE = 10
# Tones that two states of one list can have.
STATES = ("ok", "running", "waiting", "partial", "late", "unknown", "never", "failed", "damaged")


def contrast(text: str, ground: str) -> float:
    """By WCAG 2.2: from 1 to 21."""
    lighter, darker = sorted((luminance(text), luminance(ground)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    red, green, blue = (linear(part) for part in Color.parse(color).normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def difference(one: str, other: str) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(lab(one), lab(other), strict=True)) ** 0.5)


def lab(color: str) -> tuple[float, float, float]:
    red, green, blue = (linear(part) for part in Color.parse(color).normalized)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def grounds(theme: Theme) -> dict[str, str]:
    named = {"background": theme.background, "surface": theme.surface, "panel": theme.panel}
    lines = {name: theme.variables[f"line-{name}"] for name in tones.CURSOR}
    return {name: color for name, color in (named | lines).items() if color}


@pytest.mark.parametrize("theme", SHIPPED, ids=lambda theme: theme.name)
def test_every_tone_can_be_read_on_every_ground(theme: Theme) -> None:
    texts = {tone: theme.variables[f"tone-{tone}"] for tone in tones.TONES}
    texts |= {"foreground": str(theme.foreground), "primary": theme.primary, "accent": str(theme.accent)}
    low = {
        f"{text} on {ground}": round(contrast(color, below), 2)
        for text, color in texts.items()
        for ground, below in grounds(theme).items()
        if contrast(color, below) < LEAST_CONTRAST
    }
    assert low == {}


@pytest.mark.parametrize("theme", SHIPPED, ids=lambda theme: theme.name)
def test_tones_of_states_are_told_apart(theme: Theme) -> None:
    near = {
        f"{one} and {other}": round(difference(theme.variables[f"tone-{one}"], theme.variables[f"tone-{other}"]), 1)
        for one, other in combinations(STATES, 2)
        if difference(theme.variables[f"tone-{one}"], theme.variables[f"tone-{other}"]) < LEAST_DIFFERENCE
    }
    assert near == {}


@pytest.mark.parametrize("theme", SHIPPED, ids=lambda theme: theme.name)
def test_the_cursor_is_seen_on_its_ground(theme: Theme) -> None:
    assert difference(theme.variables["line-cursor"], str(theme.background)) >= 2 * 2.3
    assert difference(theme.variables["line-cursor"], theme.variables["line-cursor-blurred"]) >= 2.3


def test_dark_and_light_are_shipped_and_the_default_is_one_of_them() -> None:
    assert {theme.name: theme.dark for theme in SHIPPED} == {"dark": True, "light": False}
    assert themes.DEFAULT in {theme.name for theme in SHIPPED}


def test_the_colours_without_a_theme_are_the_dark_ones() -> None:
    dark = next(theme for theme in SHIPPED if theme.name == "dark")
    assert {name: color.lower() for name, color in dark.variables.items() if name in tones.variables()} == (
        tones.variables()
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('ok = "#8cc28a"', 'ok = "gren"', "tones.ok: 'gren' is no colour"),
        ('ok = "#8cc28a"', "ok = 3", "tones.ok: 3 is no colour"),
        ('ok = "#8cc28a"', 'ok = "ansi_red"', "tones.ok: 'ansi_red' is a colour of the terminal"),
        ('ok = "#8cc28a"', 'ok = "#8cc28a80"', "tones.ok: '#8cc28a80' can be seen through"),
        ('faint = "#9aa5b5"\n', "", "tones.faint: is missing"),
        (
            'faint = "#9aa5b5"',
            'faint = "#9aa5b5"\nfaintt = "#9aa5b5"',
            "tones.faintt: nobody knows this key; is it faint?",
        ),
        ("format = 1", "format = 2", "format: must be 1"),
        ('name = "dark"', 'name = "Dark One"', "name: must be a word"),
        ("dark = true", 'dark = "yes"', "dark: must be true or false"),
        ('border = "#3d4a5c"', 'boarder = "#3d4a5c"', "variables.boarder: nobody knows this key; is it border?"),
        ("\n[lines]\n", "\n[lines\n", "Expected ']'"),
    ],
)
def test_a_broken_theme_is_named_with_its_fault_and_the_others_work(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    (tmp_path / "mine.toml").write_text(DARK.replace(old, new, 1))
    loaded = themes.load(tmp_path)
    assert [theme.name for theme in loaded.themes] == ["dark", "light"]
    (fault,) = loaded.faults
    assert f"{tmp_path}/mine.toml: {told}" in fault.text


def test_all_faults_come_in_one_answer(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('format = 1\nname = "x"\ndark = true\ntones = 5\n[colors]\nbackground = "nope"\n')
    with pytest.raises(ConfigError) as raised:
        themes.read(path)
    told = raised.value.text
    assert "tones: must be a table" in told
    assert "colors.background: 'nope' is no colour" in told
    assert "colors.surface: is missing" in told
    assert "lines.cursor: is missing" in told


def test_a_theme_that_cannot_be_read_is_told_harmlessly(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m.toml").write_bytes(b"\xff\x00")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "large.toml").write_bytes(b"#" * 100_000)
    faults = themes.load(tmp_path).faults
    assert len(faults) == 3
    assert all(fault.text.isprintable() for fault in faults)


def test_a_theme_of_ones_own_may_take_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(DARK.replace("#12161c", "#000000"))
    (dark, _light) = themes.load(tmp_path).themes
    assert dark.background == "#000000"


@pytest.mark.anyio
@pytest.mark.parametrize("theme", SHIPPED, ids=lambda theme: theme.name)
async def test_without_colour_everything_can_still_be_read(monkeypatch: pytest.MonkeyPatch, theme: Theme) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    line_list = LineList((Column("name", "Name", (10, 20)), Column("state", "State", (4, 10))))
    app = Around(line_list)
    app.register_theme(theme)
    app.theme = theme.name
    async with app.run_test(size=(40, 6)) as pilot:
        line_list.show(Rows(["a", "b"]))
        await pilot.pause()
        assert "✓ ok" in rows(app)[1]
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                for filter_ in app._filters:
                    (segment,) = filter_.apply([segment], Color.parse(theme.background or "black"))  # noqa: PLW2901
                style = segment.style
                if segment.text.strip() and style and style.color and style.bgcolor:
                    text, below = (Color.from_rich_color(each).hex6 for each in (style.color, style.bgcolor))
                    assert contrast(text, below) >= LEAST_CONTRAST, segment
