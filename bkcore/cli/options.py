"""Commands of click that speak our contract: global options before or after the verb, a Frame in, a Result out."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bkcore import __version__
from bkcore.cli.frame import Frame, coloured, report, run
from bkcore.errors import UsageError
from bkcore.gauge import Gauge

_META = "bkcore.global"


class Verb(click.Command):
    """A command whose callback takes a Frame first, then its own parameters, and returns a Result.

    examples: whole command lines for its help.
    """

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples
        self.params.extend(_global_options(hidden=True))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's own
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        formatter.write_paragraph()
        formatter.write_text("What `bkcore --help` lists, such as --home and --json, may stand behind any verb too.")

    def invoke(self, context: click.Context) -> int:
        callback = self.callback
        assert callback is not None
        return run(frame_of(context), lambda frame: callback(frame, **context.params))


class Verbs(click.Group):
    """A group of verbs. Its help shows the global options; a verb that does not exist is answered with the nearest."""

    command_class = Verb
    group_class = type

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings.setdefault("no_args_is_help", False)
        super().__init__(*arguments, **settings)
        self.params.extend(_global_options(hidden=False))

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(context), n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            raise click.UsageError(f"there is no command {args[0]}{guess}", error.ctx or context) from None


class LazyVerbs(Verbs):
    """A group whose commands are imported when they are called: nothing loads more than its own.

    homes: of each command its module and its name in it.
    """

    def __init__(self, *arguments: Any, homes: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return list(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._homes:
            return None
        module, name = self._homes[cmd_name]
        found = getattr(importlib.import_module(module), name)
        assert isinstance(found, click.Command)
        return found


def main(group: click.Command, name: str, arguments: Sequence[str] | None = None, gauge: Gauge | None = None) -> int:
    """Run a command line and return its exit code. Raises nothing, whatever is typed. gauge: told how far it is."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(group.main(words, prog_name=name, standalone_mode=False, obj=gauge) or 0)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        called = context.command_path if context else name
        return report(UsageError(error.format_message(), hint=f"{called} --help"), as_json="--json" in words)
    except click.Abort:
        return report(KeyboardInterrupt(), as_json="--json" in words)
    except BaseException as error:  # noqa: BLE001 - whatever it is becomes one message and an exit code
        return report(error, as_json="--json" in words)


def frame_of(context: click.Context) -> Frame:
    """The Frame that the global options of this command line make."""
    given = context.meta.get(_META, {})
    home = given.get("home")
    return Frame(
        home=None if home is None else Path(home),
        end=given.get("end", ""),
        json=given.get("json", False),
        dry_run=given.get("dry_run", False),
        yes=given.get("yes", False),
        quiet=given.get("quiet", False),
        verbose=given.get("verbose", 0),
        color=coloured(given.get("color", "auto")),
        utc=given.get("utc", False),
        gauge=context.obj,
    )


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Note a global option that was given; the one that is nearer to the verb's end wins."""
    if value not in (None, False, 0):
        context.meta.setdefault(_META, {})[parameter.name] = value


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it
    if value and not context.resilient_parsing:
        click.echo(f"bkcore {__version__}")
        context.exit()


def nocolor() -> click.Option:
    """The manual's --nocolor: the same as --color never."""
    return click.Option(
        ["--nocolor"], is_flag=True, callback=_never, expose_value=False, help="Do not colour anything."
    )


def _never(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it
    if value:
        context.meta.setdefault(_META, {})["color"] = "never"


def _global_options(*, hidden: bool) -> list[click.Option]:
    def option(*names: str, text: str, **settings: Any) -> click.Option:
        settings = {"callback": _keep, "expose_value": False, **settings}
        return click.Option(names, help=text, hidden=hidden, **settings)

    return [
        option("--home", metavar="DIR", text="The home of the end that is meant."),
        option("--end", metavar="URL", text="Work on an end elsewhere."),
        option("--json", is_flag=True, text="Give one JSON document instead of text."),
        option("-n", "--dry-run", "dry_run", is_flag=True, text="Say what would be done, and do nothing."),
        option("--yes", is_flag=True, text="Do not ask."),
        option("-q", "--quiet", "quiet", is_flag=True, text="Talk about nothing but errors."),
        option("-v", "--verbose", "verbose", count=True, text="Talk more."),
        option("--color", type=click.Choice(["auto", "always", "never"]), text="Whether to colour what is shown."),
        option("--utc", is_flag=True, text="Read and show times in UTC."),
        option("--version", is_flag=True, is_eager=True, callback=_version, text="Show the version."),
    ]
