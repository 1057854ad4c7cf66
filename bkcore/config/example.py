"""A commented configuration of each role, to copy from; `bkcore config example` prints it."""

from pathlib import Path

from bkcore.state import Role


def example(role: Role) -> str:
    """The text of a whole bk.toml that loads without faults."""
    return Path(__file__).with_name(f"example-{role}.toml").read_text(encoding="utf-8")
