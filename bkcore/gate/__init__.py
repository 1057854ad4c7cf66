"""The gate: what a key may do. Decided purely (decide), from plain files (access, keys), carried out once (run)."""

from bkcore.gate.decide import Served
from bkcore.gate.run import control, data

__all__ = ["Served", "control", "data"]
