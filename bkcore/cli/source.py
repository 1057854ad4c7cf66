"""bkcore source: what this client backs up, and how."""

from typing import TYPE_CHECKING

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import client_home, require_known
from bkcore.cli.options import Verb, Verbs
from bkcore.modules import Source
from bkcore.safe import safe
from bkcore.tick.ends import ClientEnd

if TYPE_CHECKING:
    from bkcore.config.client import Schedule


@click.group(cls=Verbs)
def source() -> None:
    """The sources that this client's bk.toml names."""


@source.command("list", cls=Verb, examples=["bkcore source list", "bkcore source list --json"])
def list_(frame: Frame) -> Result:
    """A line for each source: its label, module, method and path."""
    end, found = _opened(frame, "source list")
    width = max((len(each.label) for each in found), default=0)
    return Result(
        data=[_plain(each, each.options.schedule(end.config.schedule)) for each in found],
        lines=[f"{each.label:{width}}  {each.module:11}  {each.method:5}  {safe(each.path)}" for each in found],
    )


@source.command(cls=Verb, examples=["bkcore source show shop"])
@click.argument("label")
def show(frame: Frame, label: str) -> Result:
    """How one source is backed up."""
    end, found = _opened(frame, "source show")
    require_known("source", label, [each.label for each in found])
    (chosen,) = (each for each in found if each.label == label)
    plain = _plain(chosen, chosen.options.schedule(end.config.schedule))
    return Result(data=plain, lines=[f"{name}: {safe(_shown(value))}" for name, value in plain.items()])


def _opened(frame: Frame, verb: str) -> tuple[ClientEnd, list[Source]]:
    end = ClientEnd.open(client_home(frame, verb, plans=True))
    return end, end.sources()


def _plain(each: Source, when: "Schedule") -> dict[str, object]:
    from bkcore.request import path_fields

    return {
        "source": each.label,
        "module": each.module,
        "method": each.method.value,
        **path_fields(each.path),
        "every": when.every,
        "at": when.at,
        "window": when.window,
        "limit": when.limit,
        "timeout": each.options.timeout,
        "exclude": list(each.options.exclude),
        "before": list(each.options.before),
        "after": list(each.options.after),
    }


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "never" if value is None else str(value) or "any"
