"""How quick the console is on a server that holds 100,000 versions: first paint, key to paint, and memory.

python tests/bench/console_versions.py [--versions N] [--runs N]

The versions are those of 20 sources of one client, in entries as they are stored; one source has 90 of 100. Each run is
a process of its own, counted from its start as the kernel saw it: the interpreter and all imports are in the figures.
Two ways of beginning are told apart: with the catalog that the run before left, and with none.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

CLIENT = "web1"
SOURCES = 20
SIZE = (120, 36)
MOVING = ("j", "j", "pagedown", "k", "pageup", "end", "j", "k", "home", "j", "space", "pagedown", "j")
FILTER = ("slash", "escape")
ROUNDS = 20
FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def make(folder: Path, versions: int) -> Path:
    """A server's home with so many versions."""
    from fakes.stored import DETAILS, NONE, server_home

    from bkcore.archive.entries import Entry, encode
    from bkcore.request import new_id
    from bkcore.state import Method

    home = server_home(folder / "home")
    entries = home / "data" / CLIENT / Method.SFTP / "entries"
    entries.mkdir(parents=True)
    for number in range(versions):
        at = FIRST + timedelta(minutes=number)
        label = f"source{number % SOURCES}" if number % 10 == 0 else "papers"
        entry = Entry(
            id=new_id(at, number),
            of=NONE,
            client=CLIENT,
            source=label,
            module="directories",
            created=at,
            stored_at=at,
            sequence=number + 1,
            root=f"{number // 2:064x}",
            size=1_000_000 + number,
            new_bytes=number,
            oldest_check=at,
            detail=DETAILS[Method.SFTP],
            path=f"/srv/{label}",
        )
        (entries / entry.id).write_bytes(encode(entry))
    return home


def since_start() -> float:
    """Seconds since the kernel started this process."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def measure(home: Path) -> dict[str, float]:
    """One process's figures."""
    from bkconsole.app import ConsoleApp
    from bkcore.end.local import open_local
    from bkcore.end.wire import WireEnd

    app = ConsoleApp([WireEnd(open_local(home))])
    figures: dict[str, float] = {}
    painted = asyncio.Event()
    display = ConsoleApp._display

    def told(self: Any, *given: Any, **named: Any) -> Any:
        done = display(self, *given, **named)
        painted.set()
        return done

    ConsoleApp._display = told  # type: ignore[method-assign]

    async def shown(text: str) -> None:
        while not any(text in strip.text for strip in app.screen._compositor.render_strips()):
            painted.clear()
            await asyncio.wait_for(painted.wait(), 120)

    async def run() -> None:
        async with app.run_test(size=SIZE) as pilot:
            await shown("overview")
            figures["first paint"] = since_start()
            await shown("papers")
            figures["sources on the screen"] = since_start()
            await pilot.press("4")
            await shown(CLIENT)
            began = time.perf_counter()
            await pilot.press("enter")
            await shown("papers")
            await to(pilot, app, "papers")
            await pilot.press("enter")
            await shown("2020-")
            figures["two levels opened by keys"] = time.perf_counter() - began
            figures["key to paint p95"] = p95([each async for each in keys(app, painted, MOVING)])
            figures["filter opened, closed p95"] = p95([each async for each in keys(app, painted, FILTER)])
            figures["resident"] = resident()
        assert app.faults == []

    asyncio.run(run())
    return figures


async def to(pilot: Any, app: Any, text: str) -> None:
    """Put the cursor on the line with a text."""
    while not any(
        strip.text.startswith("▌") and text in strip.text for strip in app.screen._compositor.render_strips()
    ):
        await pilot.press("j")


async def keys(app: Any, painted: asyncio.Event, pressed: tuple[str, ...]) -> AsyncIterator[float]:
    """From a key's arrival to the end of the paint that it caused, without a pilot's own waiting."""
    from textual import events

    characters = {"j": "j", "k": "k", "space": " ", "slash": "/"}
    for key in pressed * ROUNDS:
        await asyncio.sleep(0.02)
        painted.clear()
        began = time.perf_counter()
        app.post_message(events.Key(key, characters.get(key)))
        try:
            await asyncio.wait_for(painted.wait(), 1)
        except TimeoutError:
            continue  # a key that changes nothing paints nothing
        yield time.perf_counter() - began


def p95(found: list[float]) -> float:
    """The value that 95 of 100 stay below."""
    return sorted(found)[int(len(found) * 0.95)]


def resident() -> float:
    """MiB of this process in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def runs(home: Path, count: int, *, catalog: bool) -> Iterator[dict[str, float]]:
    """The figures of so many processes, one after the other."""
    for _ in range(count):
        if not catalog:
            for left in (home / "data" / CLIENT).glob("catalog.sqlite*"):
                left.unlink()
        done = subprocess.run(
            [sys.executable, __file__, "--measure", str(home)], check=True, stdout=subprocess.PIPE, text=True
        )
        yield json.loads(done.stdout.splitlines()[-1])


def tell(title: str, found: list[dict[str, float]]) -> None:
    """Print the medians."""
    print(f"{title}, median of {len(found)}:")
    for name in found[0]:
        value = statistics.median(each[name] for each in found)
        print(f"  {name:28}" + (f"{value:8.0f} MiB" if name == "resident" else f"{value * 1000:8.0f} ms"))


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure)))
        return
    with tempfile.TemporaryDirectory(prefix="bk-bench-") as folder:
        home = make(Path(folder), given.versions)
        tell(f"{given.versions:,} versions, no catalog yet", list(runs(home, 1, catalog=False)))
        tell(f"{given.versions:,} versions", list(runs(home, given.runs, catalog=True)))
    print("goals: first paint 500 ms, key to paint p95 30 ms, resident 120 MiB")


if __name__ == "__main__":
    main()
