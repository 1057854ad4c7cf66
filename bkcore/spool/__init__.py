"""The spool: name = state, lock = life, body = wish.

One file is one request; the first letter of its name is its state, a rename is a transition. Nothing but the letter
decides. DESIGN.md has the letters, the moves and what is true at each instant.
"""

from bkcore.spool.attempts import Attempts, due, next_try
from bkcore.spool.claim import Claim
from bkcore.spool.pauses import Pause, Pauses
from bkcore.spool.pool import Item, Pool, Submitted

__all__ = ["Attempts", "Claim", "Item", "Pause", "Pauses", "Pool", "Submitted", "due", "next_try"]
