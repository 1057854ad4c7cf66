"""Everything that can be done to an end: one value a verb, each with the command line that does the same.

A new verb is a new Action, never a new method of an End.
"""

import msgspec


class _Action(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """tag: the class's name in small letters."""


class Backup(_Action, frozen=True):
    """Ask a server for a backup of these sources (labels). server: its name, "" for the default one."""

    sources: tuple[str, ...]
    server: str = ""
    full: bool = False
    note: str = ""


class Retry(_Action, frozen=True):
    """Try these requests again now."""

    ids: tuple[str, ...]


class Cancel(_Action, frozen=True):
    """Take these requests back."""

    ids: tuple[str, ...]


class Tick(_Action, frozen=True):
    """One pass of the end, now."""


class Verify(_Action, frozen=True):
    """Read these versions again, all of them. nodes: of clients, sources or versions."""

    nodes: tuple[str, ...]


class Export(_Action, frozen=True):
    """Give these versions back into a folder of the end's machine. dest_b64: its path. form: "" for what is usual.

    conflict: refuse, skip, rename or overwrite. verify: read what was written again, and compare.
    """

    nodes: tuple[str, ...]
    dest_b64: str
    form: str = ""
    conflict: str = "refuse"
    verify: bool = True


Action = Backup | Retry | Cancel | Tick | Verify | Export
