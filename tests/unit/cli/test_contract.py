"""The command line's contract: what is built bears the agreed names, and its help shows how it is typed."""

import shlex
from collections.abc import Iterator

import click
import pytest

from bkcore.cli import internal, main
from bkcore.cli.db import db
from bkcore.cli.group import bkcore
from bkcore.cli.options import Verb

# Every name that was agreed on, by verb; renames break people's scripts. What is not built yet stands here too.
AGREED = {
    "backup": "--all --server --every-server --wait --timeout --note --hold --full",
    "tick": "--watch --client --server --only",
    "status": "--client --source --watch",
    "show": "",
    "log": "-f",
    "journal": "-f --since --filter",
    "retry": "",
    "cancel": "",
    "pause": "--until --reason",
    "resume": "--until --reason",
    "accept": "",
    "init": "--user --default-server --from-server --mail --sendmail --admin-key --adopt --cron --systemd --none"
    " --arch",
    "remove-end": "--purge",
    "identity": "",
    "key rotate": "--finish",
    "pair": "--offer --join",
    **dict.fromkeys(
        [f"client {verb}" for verb in ("add", "replace", "rename", "retire", "list", "show")],
        "--address --port --user --key-file --host-key-file --quota --restore --keep",
    ),
    **dict.fromkeys(
        [f"server {verb}" for verb in ("add", "replace", "remove", "default", "list")],
        "--key-file --host-key-file --default",
    ),
    **dict.fromkeys(["source list", "source show", "source retire", "coverage", "access plan", "access check"], ""),
    "restore": "--at --all --into --in-place --conflict --files-only --database-only",
    "drill": "--level",
    "proof": "--client --since --csv",
    **dict.fromkeys(["job list", "job show", "job cancel"], ""),
    "move": "--to",
    "replicate": "--from --to",
    "store move": "",
    "doctor": "--both --fix",
    "health": "--warning --critical",
    "metrics": "--textfile",
    "notify": "--test",
    "config check": "",
    "config show": "--origin",
    "config edit": "",
    "config example": "",
    "migrate": "--apply",
    "upgrade": "--check",
    "serve": "--listen",
    "demo": "--once --keep",
    "completion": "",
    "help": "",
    **dict.fromkeys(["gate server", "gate data", "gate console", "extract", "agent"], ""),
    # The manual's.
    **dict.fromkeys(["backup_it", "backup_all", "commitBackupRequest", "send_request", "do_backup"], ""),
    "db ls": "--client --source --nocolor",
    "db verify": "--client --source --nocolor --percent --older --repair-from",
    "db rm": "--client --source --nocolor --now",
    "db export": "--client --source --nocolor --as --conflict --verify --names --path",
    "db clean": "--client --source --nocolor --trash",
    "db clean-pretend": "--client --source --nocolor",
    "db build": "--client --source --nocolor",
    "db find": "--glob --regex --since --until",
    **dict.fromkeys([f"db {verb}" for verb in ("files", "cat", "diff", "history", "release", "undo", "reindex")], ""),
    "db hold": "--until --note",
    "db prune": "--apply",
    "db stats": "--by",
    "db import": "",
    # The same commands by another name.
    "request": "",
    "explain": "",
}

# What was added to it since, each with its reason to be.
ADDED = {
    "backup": "--source",  # what the console shows is a source, which a module and a path name only clumsily
    "db ls": "--node",  # likewise: exactly what is marked in the console
    "db verify": "--node",
    "db export": "--node",
    "db prune": "--client",  # of one client, as in clean
    "db stats": "--client --nocolor",  # of one client, as in ls
    "db find": "--client --source --nocolor",
    "db reindex": "--client",
    "db rm": "--node",
    "db import": "--client",  # whose they are, where the folder's name does not say it
    "coverage": "--client",  # of one client, as in status
    "restore": "--server",  # from which of several, as in backup
    "tick": "--wait",  # of the tick that a push starts: the housekeeping of another one must not swallow it
    "init": "--own",  # a home for oneself, though one is root: as root without it there are users, sshd and cron too
    "pair": "--address --port --user --host-key-file",  # what `client add` says by the same words
    "demo": "--tethered",  # of the console, whose child it is
    "job run": "--lock",  # what a detached job's process is started as
}

# What programs call: lines of authorized_keys and git's hooks that were written long ago.
CALLED = {"gate server", "gate data", "hook pre-receive", "hook post-update"}

EVERYWHERE = "--home --end --json -n --dry-run --yes -q --quiet -v --verbose --color --utc --version"


def verbs_of(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from verbs_of(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


BUILT = dict(verbs_of(bkcore))
VISIBLE = [name for name in BUILT if not BUILT[name].hidden]


@pytest.mark.parametrize("name", BUILT)
def test_a_verb_that_is_built_and_its_options_bear_the_agreed_names(name: str) -> None:
    assert name in AGREED or name in ADDED
    agreed = {*AGREED.get(name, "").split(), *ADDED.get(name, "").split(), *EVERYWHERE.split()}
    options = (each for each in BUILT[name].params if isinstance(each, click.Option))
    assert {word for option in options for word in [*option.opts, *option.secondary_opts]} <= agreed


@pytest.mark.parametrize("name", [name for name in ADDED if name in BUILT])
def test_an_addition_that_is_named_is_there_and_was_not_agreed_on_before(name: str) -> None:
    assert not set(ADDED[name].split()) & set(AGREED.get(name, "").split())
    assert set(ADDED[name].split()) <= {word for option in BUILT[name].params for word in option.opts}


def test_what_programs_call_keeps_its_name() -> None:
    assert {" ".join(words) for words in internal.COMMANDS} == CALLED


@pytest.mark.parametrize(
    "words",
    [
        "gate",
        "gate shell",
        "gate server",
        "gate server --home /x",
        "gate server --home /x --member y --member z",
        "gate data --home /x --member y",
        "gate server --member",
        "hook",
        "hook pre-push",
    ],
)
def test_what_programs_call_is_answered_with_a_line_when_it_is_called_wrongly(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("bkcore: ")
    assert "Traceback" not in said.err


def test_every_addition_is_of_something_that_is_built() -> None:
    assert set(ADDED) <= set(BUILT)


def test_bkdb_and_bkcore_db_are_the_same() -> None:
    assert {f"db {name}": command for name, command in verbs_of(db)}.items() <= BUILT.items()


@pytest.mark.parametrize("name", BUILT)
def test_the_options_of_every_command_may_stand_behind_every_verb(name: str) -> None:
    assert set(EVERYWHERE.split()) <= {word for option in BUILT[name].params for word in option.opts}


@pytest.mark.parametrize("name", VISIBLE)
def test_the_help_of_a_verb_has_examples_that_can_be_typed(name: str) -> None:
    command = BUILT[name]
    assert isinstance(command, Verb)
    assert command.examples
    shown = command.get_help(click.Context(command, info_name=name))
    for line in command.examples:
        assert f"  {line}\n" in shown
        program, *words = shlex.split(line.partition(" > ")[0])
        called = f"db {words[0]}" if program == "bkdb" else " ".join(words[: name.count(" ") + 1])
        assert called == name
        rest = words[1:] if program == "bkdb" else words[name.count(" ") + 1 :]
        with command.make_context(name, rest):
            pass
