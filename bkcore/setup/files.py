"""The text of the files that a new home starts with: configurations with comments, and the manual's commands."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from bkcore import durable
from bkcore.config.client import Mail, Schedule

_BARE = re.compile(r"[A-Za-z0-9_-]+")

# Commands of the manual, as they lie in scripts/.
CLIENT_COMMANDS = ("backup_it", "backup_all", "commitBackupRequest", "send_request")
SERVER_COMMANDS = ("do_backup",)
HOOKS = ("pre-receive", "post-update")

GITOSIS_CONF = """\
# Who may do what on this server; read by the gate. In force is the last state that had no fault.

[gitosis]

[group gitosis-admin]
writable = gitosis-admin
members =
"""


def client_config(name: str, volume: str, mail: Mail, schedule: Schedule, sources: str) -> str:
    """A client's first bk.toml. sources: TOML of its [source.…] tables, "" for none yet."""
    cadence = {
        "every": schedule.every and schedule.every.in_words(),
        "at": schedule.at,
        "window": schedule.window,
        "limit": schedule.limit and schedule.limit.in_words(),
    }
    return f"""\
# The Backup System: the configuration of a client. `bkcore config check` names every fault in it.
{_pair("format", 1)}
{_pair("role", "client")}

# The URL_of_this_machine: the name of this client's repository and folder on every server.
{_pair("name", name)}

# The server that is meant where none is named.
default-server = ""

# Prepared archives that wait for being fetched may take this much room.
{_pair("outbox-limit", "20G")}

# The id of the disk that this home lies on, as in .volume: by it a missing mount is noticed.
{_pair("volume", volume)}

# Who is told when something goes wrong. sendmail is called as PATH -i ADDRESS…
{_mail(mail)}

# When sources are backed up, where they do not say it themselves; without `every` nothing is due by itself.
[schedule]
{_pairs({key: value for key, value in cadence.items() if value})}

# What is backed up: one table a source.
{sources}"""


def server_config(name: str, volume: str, mail: Mail, tables: str) -> str:
    """A server's first bk.toml. tables: more TOML tables, "" for none."""
    return f"""\
# The Backup System: the configuration of a server. `bkcore config check` names every fault in it.
{_pair("format", 1)}
{_pair("role", "server")}

# The name of this server in receipts.
{_pair("name", name)}

# So many clients are fetched from at a time.
{_pair("slots", 4)}

# This much of the disk is never filled.
{_pair("reserve", "5%")}

# The id of the disk that home and data/ lie on, as in .volume: by it a missing mount is noticed.
{_pair("volume", volume)}

# Whether the old frames of a new archive are read again before it is called stored: "new" or "full".
{_pair("verify-on-store", "new")}

# At night this server verifies, tries restores, cleans and prunes by its rules, when this is no comment:
# [maintenance]
# {_pair("window", "01:00-06:00")}

# Who is told when something goes wrong. sendmail is called as PATH -i ADDRESS…
{_mail(mail)}

{tables}"""


def table(path: tuple[str, ...], values: Mapping[str, Any]) -> str:
    """One table of TOML with its header; empty values are left out."""
    return f"{header(path)}\n{_pairs({key: value for key, value in values.items() if value})}\n"


def header(path: tuple[str, ...]) -> str:
    """The header line of a table."""
    return f"[{'.'.join(part if _BARE.fullmatch(part) else _value(part) for part in path)}]"


def put_table(text: str, path: tuple[str, ...], values: Mapping[str, Any]) -> str:
    """A configuration with this table in the place of the one of that name, else at the end; the rest is untouched."""
    lines, new = text.splitlines(), table(path, values).splitlines()
    if header(path) not in lines:
        return "\n".join([*lines, *([""] if lines and lines[-1] else []), *new, ""])
    begin = lines.index(header(path))
    end = next((at for at in range(begin + 1, len(lines)) if lines[at].startswith("[")), len(lines))
    while lines[end - 1].startswith("#") or not lines[end - 1]:
        end -= 1
    return "\n".join([*lines[:begin], *new, *lines[end:], ""])


def put_value(text: str, key: str, value: str) -> str:
    """A configuration in which an empty top-level key has a value; one that has one already keeps it."""
    return re.sub(rf'(?m)\A((?:(?!^\[).*\n)*?){re.escape(key)} = ""$', lambda found: found[1] + _pair(key, value), text)


def put(path: Path, data: bytes, mode: int = 0o600) -> bool:
    """Write a file if it is not like that already. Whether it was not."""
    if path.exists() and path.read_bytes() == data:
        return False
    durable.make_folder(path.parent)
    durable.replace(path, data, mode=mode)
    return True


def script(*arguments: str, module: str = "bkcore.cli") -> str:
    """A command of a home: starts this installation, with these words in front of what it was called with."""
    words = "".join(f'"{word}", ' for word in arguments)
    return f"""\
#!{sys.executable} -I
\"\"\"Starts the Backup System of the interpreter that this home was set up with.\"\"\"
import sys

from {module} import main

sys.exit(main({f"[{words}*sys.argv[1:]]" if arguments else ""}))
"""


def _mail(mail: Mail) -> str:
    return "[mail]\n" + _pairs({"sendmail": mail.sendmail, "to": mail.to})


def _pairs(values: Mapping[str, Any]) -> str:
    return "\n".join(_pair(key, value) for key, value in values.items())


def _pair(key: str, value: Any) -> str:
    return f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")
