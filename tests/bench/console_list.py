"""How quick a LineList of 100,000 lines is: first paint, key to paint, and memory. Medians of several processes.

python tests/bench/console_list.py [--lines N] [--runs N] [--app MODULE:FACTORY]

The app is any callable that takes a number of lines and gives an app with a LineList in it, so that the whole console
can be measured by the same means. Times are taken where paint ends: when the screen has written its update to the
driver.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

_KEYS = ("j", "j", "pagedown", "k", "pageup", "end", "j", "k", "home", "space", "pagedown", "j")
_ROUNDS = 20
_SIZE = (120, 36)


def gallery(lines: int) -> Any:
    """The smallest app that has a LineList: the gallery of the tests."""
    from fakes.gallery import Gallery

    return Gallery(count=lines)


def measure(make: Callable[[int], Any], lines: int) -> dict[str, float]:
    """One process's figures: seconds from making the app to its first paint, from key to paint, MiB resident."""
    began = time.perf_counter()
    app = make(lines)
    figures: dict[str, float] = {}

    async def run() -> None:
        painted = asyncio.Event()
        display = type(app)._display

        def told(self: Any, *given: Any, **named: Any) -> Any:
            done = display(self, *given, **named)
            painted.set()
            return done

        type(app)._display = told
        async with app.run_test(size=_SIZE):
            await painted.wait()
            figures["first paint"] = await _until_line(app, painted, began)
            figures["key to paint p95"] = await _keys(app, painted)
            figures["resident"] = _resident()

    asyncio.run(run())
    return figures


async def _until_line(app: Any, painted: asyncio.Event, began: float) -> float:
    """Until a line of the list is on the screen."""
    from bkconsole.widgets.line_list import LineList

    while app.query_one(LineList).cursor_key is None or not any(
        "■" in strip.text for strip in app.screen._compositor.render_strips()
    ):
        painted.clear()
        await painted.wait()
    return time.perf_counter() - began


async def _keys(app: Any, painted: asyncio.Event) -> float:
    """From a key's arrival to the end of the paint that it caused, without the pilot's own waiting."""
    from textual import events

    characters = {"j": "j", "k": "k", "space": " "}
    spent = []
    for key in _KEYS * _ROUNDS:
        await asyncio.sleep(0.02)
        painted.clear()
        began = time.perf_counter()
        app.post_message(events.Key(key, characters.get(key)))
        try:
            await asyncio.wait_for(painted.wait(), 1)
        except TimeoutError:
            continue  # a key that changes nothing paints nothing
        spent.append(time.perf_counter() - began)
    return sorted(spent)[int(len(spent) * 0.95)]


def _resident() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _child(argv: list[str]) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "--once", *argv], check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--app", default="")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        module, _, name = given.app.partition(":")
        print(json.dumps(measure(getattr(import_module(module), name) if module else gallery, given.lines)))
        return
    argv = ["--lines", str(given.lines), "--app", given.app]
    found = [_child(argv) for _ in range(given.runs)]
    middle = {name: statistics.median(each[name] for each in found) for name in found[0]}
    print(
        f"{given.lines:,} lines, median of {given.runs}: first paint {middle['first paint']:.3f} s,"
        f" key to paint p95 {middle['key to paint p95'] * 1000:.1f} ms, resident {middle['resident']:.0f} MiB"
    )


if __name__ == "__main__":
    main()
