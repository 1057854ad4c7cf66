"""A Trac environment, used by its own administration program."""

import sys
from dataclasses import dataclass
from pathlib import Path

from fakes.applications.programs import said

PROGRAM = Path(sys.prefix) / "bin" / "trac-admin"


@dataclass(frozen=True)
class Trac:
    """An environment."""

    folder: Path

    def admin(self, *words: str) -> str:
        """What trac-admin says."""
        return said(PROGRAM, self.folder, *words).strip()


def install(folder: Path) -> Trac:
    """Make one with a component, a milestone, a page of the wiki and an attachment's folder."""
    made = Trac(folder)
    made.admin("initenv", "Notes", "sqlite:db/trac.db")
    made.admin("component", "add", "kettle", "ann")
    made.admin("milestone", "add", "boiling")
    (folder / "tea.txt").write_text("= Tea =\nwith milk\n")
    made.admin("wiki", "import", "Tea", str(folder / "tea.txt"))
    return made
