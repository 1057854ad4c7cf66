"""bkcore access: whether this client may read what it is to back up, and what would let it."""

import os
import pwd
import shlex

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import client_home
from bkcore.cli.options import Verb, Verbs
from bkcore.errors import BkError, SourceFailed
from bkcore.modules import Module, Source
from bkcore.safe import safe
from bkcore.tick.ends import ClientEnd


@click.group(cls=Verbs)
def access() -> None:
    """Whether what is to be backed up can be read."""


@access.command(cls=Verb, examples=["bkcore access check", "bkcore access check --json"])
def check(frame: Frame) -> Result:
    """Look at every source as its module does: what is missing, and what cannot be read. Exit 1 if anything is.

    A large tree is looked through in part; what cannot be read there is counted and named by the backup.
    """
    end = _end(frame, "access check")
    found = [(each, problem) for each in end.sources() for problem in _problems(end.modules[each.module], each)]
    errors = [SourceFailed(f"{source.label}: {text}", hint=hint) for source, (text, hint) in found]
    data = [{"source": source.label, "text": text, "hint": hint} for source, (text, hint) in found]
    told = [] if found else ["every source can be read"]
    return Result(data=data, lines=told, exit=BkError.exit if found else 0, errors=tuple(errors))


@access.command(cls=Verb, examples=["bkcore access plan", "bkcore access plan --json"])
def plan(frame: Frame) -> Result:
    """Print the commands for root that let this account read its sources: access lists, and nothing else changes.

    Databases are no matter of files: they want a role, or a file with a password.
    """
    from bkcore.modules.reading import closed

    account, end = _account(), _end(frame, "access plan")
    places = dict.fromkeys(place for source in end.sources() for place in end.modules[source.module].places(source))
    wanted = [grant for place in places if (shut := closed(place)) for grant in shut.grants(account)]
    commands = list(dict.fromkeys(shlex.join(words) for words in wanted))
    typed = [line for line in commands if safe(line) == line]
    for line in commands:
        if line not in typed:
            frame.warn(f"a name that no terminal shows as it is has to be done by hand: {line}")
    return Result(data=commands, lines=typed)


def _account() -> str:
    """Our account's name; its number when it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _end(frame: Frame, verb: str) -> ClientEnd:
    return ClientEnd.open(client_home(frame, verb, plans=True))


def _problems(module: Module, source: Source) -> list[tuple[str, str]]:
    """Texts and hints, of the module and of what is closed."""
    from bkcore.modules.reading import closed

    told = [(problem.text, problem.hint) for problem in module.check(source)]
    shut = [found for place in module.places(source) if os.path.lexists(place) and (found := closed(place))]
    return told + [
        (f"{safe(each.first)} cannot be read by this user", "bkcore access plan says what would let it")
        for each in shut
        if not any(safe(each.first) in text for text, _ in told)
    ]
