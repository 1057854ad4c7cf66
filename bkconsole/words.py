"""Numbers and times as people read them. Pure; the clock is passed in.

Sizes count in powers of 1024, as bk.toml does, and say so: KiB, MiB, GiB. Spans are cut, never rounded up: what is said
to be two days old is at least that.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from bkconsole.glyphs import UNICODE, Charset

NEVER = "never"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 31_557_600
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
# Not strftime's, which change with the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Beyond this nobody counts days any more.
_LONG = 1000 * _DAY


def span(seconds: float) -> str:
    """A length of time: "45 s", "3 m", "2 h 5 m", "1 d 4 h", "4 d", "3 y". What is negative counts as nothing."""
    whole = max(int(seconds), 0)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} m"
    if whole < _DAY:
        return _two(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "m")
    if whole < 2 * _DAY:
        return _two(1, "d", whole % _DAY // _HOUR, "h")
    return f"{whole // _DAY} d" if whole < _LONG else f"{whole // _YEAR} y"


def ago(then: datetime | None, now: datetime) -> str:
    """How long it is past: "3 m ago"; one from the future, of another clock, says so: "3 m ahead"."""
    if then is None:
        return NEVER
    seconds = (now - then).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"{span(-seconds)} ahead"


def moment_and_age(then: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """Both: "2026-11-25 14:05:09, 3 m ago"; of what is to come: "2026-11-25 14:05:09, in 3 m"."""
    if then is None:
        return NEVER
    return f"{stamp(then, zone)}, {ago(then, now) if then <= now else until(then, now)}"


def age(then: datetime | None, now: datetime) -> str:
    """The same where there is little room: "3 m"."""
    return NEVER if then is None else span((now - then).total_seconds())


def until(then: datetime | None, now: datetime) -> str:
    """When it will be: "in 4 m", "due" once that has come, "" where nothing is planned."""
    if then is None:
        return ""
    seconds = (then - now).total_seconds()
    return f"in {span(seconds)}" if seconds > 0 else "due"


def moment(at: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """A point in time as short as it can be: "14:05" today, "25 Nov 14:05" this year, else "2024-11-25".

    zone: None for this machine's.
    """
    if at is None:
        return NEVER
    there, here = at.astimezone(zone), now.astimezone(zone)
    if there.date() == here.date():
        return f"{there:%H:%M}"
    if there.year == here.year:
        return f"{there.day:2d} {_MONTHS[there.month - 1]} {there:%H:%M}"
    return f"{there.year:04d}-{there:%m-%d}"


def stamp(at: datetime | None, zone: tzinfo | None = None) -> str:
    """A point in time in full: "2026-11-25 14:05:09", with a Z where it is UTC."""
    if at is None:
        return NEVER
    there = at.astimezone(zone)
    return f"{there.year:04d}-{there:%m-%d %H:%M:%S}{'Z' if zone is UTC else ''}"


def size(count: int) -> str:
    """Bytes: "512 B", "1.0 KiB", "12.3 MiB", "456 GiB"; at most 8 cells below 1024 EiB."""
    if count < 0:
        return f"-{size(-count)}"
    value, unit = float(count), 0
    # 1023.5 would be written as 1024.
    while value >= 1023.5 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    # 99.95 would be written as 100.0.
    return f"{value:.1f} {_UNITS[unit]}" if unit and value < 99.95 else f"{value:.0f} {_UNITS[unit]}"


def rate(per_second: int) -> str:
    """Bytes a second: "12.3 MiB/s", "" for none."""
    return f"{size(per_second)}/s" if per_second > 0 else ""


def progress(done: int, total: int, per_second: int) -> str:
    """All of it in one: "42 %  4 m left  12.3 MiB/s"; of an unknown total its size, "" for nothing yet."""
    far = percent(done, total) or (size(done) if done else "")
    return "  ".join(part for part in (far, left(done, total, per_second), rate(per_second)) if part)


def left(done: int, total: int, per_second: int) -> str:
    """How long it will still take at that rate: "4 m left"; "" where that is not known."""
    if per_second <= 0 or total <= 0 or done > total:
        return ""
    return f"{span((total - done) / per_second)} left"


def percent(done: int, total: int) -> str:
    """How far it is; 100 only when all is done, "" where the total is not known."""
    return f"{min(max(done, 0) * 100 // total, 100)} %" if total > 0 else ""


def bar(done: int, total: int, width: int, charset: Charset = UNICODE) -> str:
    """How far it is, as a bar of that many cells; full only when all is done."""
    cells = min(max(done, 0) * width // total, width) if total > 0 else 0
    return charset.full * cells + charset.hollow * (width - cells)


def count(amount: int) -> str:
    """A count: "1,234"."""
    return f"{amount:,}"


def counted(amount: int, noun: str, plural: str = "") -> str:
    """A count of things: "1 source", "1,234 sources", "2 entries"."""
    return f"{count(amount)} {noun if amount == 1 else plural or noun + 's'}"


def trend(values: Sequence[int], width: int, charset: Charset = UNICODE) -> str:
    """The last values as a line of blocks, one cell each, the newest at the right; from nothing to the largest."""
    shown = values[-width:] if width > 0 else ()
    most = max(shown, default=0)
    steps = len(charset.spark) - 1
    return "".join(charset.spark[max(value, 0) * steps // most if most > 0 else 0] for value in shown)


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"
