"""Pictures of a screen, to be looked at: python tests/console/picture.py [--theme T] [--ascii] [--gallery] [FOLDER]

Draws every screen and dialog of the console on a world in which everything has happened, in every size and theme;
or the gallery of all widgets. `picture()` does the same for a running app. Needs resvg-py.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.consoles import SCENES, console, current
from fakes.gallery import Gallery
from fakes.screens import SIZES, settled
from fakes.told_world import World, kept_world
from textual.app import App

from bkconsole import themes
from bkconsole.glyphs import ASCII, UNICODE

_FONT = "DejaVu Sans Mono"


def picture(app: App[Any], path: Path) -> None:
    """What an app shows now, as a PNG."""
    import resvg_py

    # Textual's SVG asks for a font from the net; one that is here keeps the columns straight too.
    drawn = app.export_screenshot().replace("Fira Code", _FONT)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=drawn, font_family=_FONT, monospace_family=_FONT)))


async def _gallery(folder: Path, theme: str, *, plain: bool) -> None:
    for size in SIZES:
        app = Gallery(theme=theme, charset=ASCII if plain else UNICODE)
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            await pilot.press("j", "space", "j")
            await settled(pilot)
            picture(app, folder / f"gallery-{theme}{'-ascii' if plain else ''}-{size[0]}x{size[1]}.png")


async def _console(world: World, folder: Path, theme: str, *, plain: bool) -> None:
    for name, (screen, keys) in SCENES.items():
        app = console(world, screen, theme=theme, ascii=plain)
        async with app.run_test(size=SIZES[1]) as pilot:
            await current(pilot)
            for key in keys:
                await pilot.press(key)
                await current(pilot)
            for size in SIZES:
                await pilot.resize_terminal(*size)
                await current(pilot)
                picture(app, folder / f"{name}-{theme}{'-ascii' if plain else ''}-{size[0]}x{size[1]}.png")


def main() -> None:
    """All pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("pictures"))
    parser.add_argument("--theme", action="append", choices=[theme.name for theme in themes.load().themes])
    parser.add_argument("--ascii", action="store_true")
    parser.add_argument("--gallery", action="store_true")
    given = parser.parse_args()
    for theme in given.theme or ["dark", "light"]:
        if given.gallery:
            asyncio.run(_gallery(given.folder, theme, plain=given.ascii))
            continue
        with kept_world() as world:
            asyncio.run(_console(world, given.folder, theme, plain=given.ascii))
    print(f"pictures are in {given.folder}")


if __name__ == "__main__":
    main()
