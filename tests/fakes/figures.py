"""What a bench prints: the machine and the versions, and medians beside each other with their ratios."""

import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import bkcore

#: How each program is asked which version it is.
_VERSIONS = {
    "restic": ("restic", "version"),
    "borg": ("borg", "--version"),
    "zstd": ("zstd", "--version"),
    "ssh": ("ssh", "-V"),
    "git": ("git", "--version"),
}


def machine(*programs: str) -> str:
    """A line that names this machine, ourselves, and the versions of these programs."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    ours = f"bkcore {bkcore.__version__}, Python {platform.python_version()}, Linux {platform.release()}"
    return (
        f"{os.cpu_count()} x {names[0] if names else platform.machine()}, {ours}; {'; '.join(map(_version, programs))}"
    )


def _version(program: str) -> str:
    done = subprocess.run(_VERSIONS[program], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0].strip("* ")


def medians(title: str, runs: Sequence[Mapping[str, float]], unit: str = "s", *, goal: str = "") -> str:
    """One line: the median of each column over the runs, and how the first stands to the best of the others.

    The ratio is taken within each run, and the median of those is shown: what a shared machine does to one run it does
    to all that is measured in it.
    """
    ours, *others = runs[0]
    shown = ", ".join(f"{name} {statistics.median(run[name] for run in runs):.2f} {unit}" for name in runs[0])
    if not others:
        return f"{title}: {shown}"
    ratio = statistics.median(run[ours] / min(run[name] for name in others) for run in runs)
    return f"{title}: {shown}; ratio to the best {ratio:.2f}" + (f" (goal: {goal})" if goal else "")
