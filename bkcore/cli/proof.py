"""bkcore proof: what drills proved, and when."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import click

from bkcore.archive.proofs import Proof, Proofs
from bkcore.cli.drill import line, plain
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import home_of, require_known
from bkcore.cli.options import Verb
from bkcore.config.values import Duration
from bkcore.errors import UsageError
from bkcore.paths import ServerHome
from bkcore.safe import safe
from bkcore.tick.ends import system_clock

_COLUMNS = ("at", "client", "source", "module", "version", "id", "level", "passed", "seconds", "bytes", "by", "text")
# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t")


@click.command("proof", cls=Verb, examples=["bkcore proof", "bkcore proof --client web1 --since 90d --csv"])
@click.option("--client", default="", help="Only of this client.")
@click.option("--since", default="", metavar="TIME", help='Only from then on: a span (90d), or "YYYY-MM-DD [HH:MM]".')
@click.option("--csv", "as_csv", is_flag=True, help="As a table with commas.")
def proof_verb(frame: Frame, client: str, since: str, *, as_csv: bool) -> Result:
    """List what drills proved, the oldest first: date, source, version, level, result, seconds and bytes."""
    home = home_of(frame)
    if not isinstance(home, ServerHome):
        raise UsageError(f"{home.root} is a client's home, and proofs are a server's", hint="run it at the server")
    begin = _moment(since, utc=frame.utc)
    known = sorted(path.name for path in home.data.glob("[!.]*") if path.is_dir())
    if client:
        require_known("client", client, known)
    found = []
    for name in [client] if client else known:
        proofs = Proofs(home.client_data(name))
        for key in proofs.damaged():
            frame.warn(f"{name}: the proof {key} is damaged")
        found += [(name, each) for each in proofs.all() if begin is None or each.at >= begin]
    found.sort(key=lambda pair: pair[1].at)
    lines = _table(found) if as_csv else (line(frame, name, each) for name, each in found)
    return Result(data=[plain(name, each) for name, each in found], lines=lines if found or as_csv else ["no proofs"])


def _table(found: Iterable[tuple[str, Proof]]) -> Iterator[str]:
    yield ",".join(_COLUMNS)
    for name, each in found:
        row = io.StringIO()
        values = {**plain(name, each), "at": f"{each.at:%Y-%m-%dT%H:%M:%SZ}", "passed": "yes" if each.passed else "no"}
        csv.writer(row, lineterminator="").writerow([_cell(values[column]) for column in _COLUMNS])
        yield row.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = safe(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _moment(text: str, *, utc: bool) -> datetime | None:
    """What --since means. UsageError."""
    try:
        if not text or text[-1].isalpha():
            return system_clock() - timedelta(seconds=Duration.of(text)) if text else None
        meant = datetime.fromisoformat(text)
        if meant.tzinfo is None:
            meant = meant.replace(tzinfo=system_clock().tzinfo) if utc else meant.astimezone()
        return meant
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text} is no time", hint='--since 90d, or --since "2026-11-01 06:00"') from None
