"""The demo: a small real world of one server and two clients, in which every part is the real system."""

from bkcore.demo.run import run_demo

__all__ = ["run_demo"]
