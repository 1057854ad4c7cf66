"""What a push may cost before its hook has looked at it: time of the processor and memory, however small it was sent.

A pack of 64 MiB may unfold into 60 GB, and a delta of a hundred bytes into an object that fills the memory. git has no
limit for either, so the kernel ends whoever goes over these. They are soft: the hooks, which are our own commands and
start a tick, lift them.
"""

import resource

# 10,000 requests take git a second.
_SECONDS = 30
# git needs some 50 MB for a push of any size once large objects are streamed.
_ADDRESSES = 1 << 30

#: Options of git beside them: objects over a megabyte are streamed, and no thread has buffers of its own.
SETTINGS = ("core.bigFileThreshold=1m", "pack.threads=1")

_BOUNDS = {resource.RLIMIT_CPU: _SECONDS, resource.RLIMIT_AS: _ADDRESSES}


def bound() -> None:
    """Bound this process, and each that it starts. A bound that stands already and is tighter is left."""
    for what, most in _BOUNDS.items():
        soft, hard = resource.getrlimit(what)
        resource.setrlimit(what, (min((each for each in (soft, hard, most) if each >= 0), default=most), hard))


def lift() -> None:
    """Take them off again, as far as the machine's own limits go."""
    for what in _BOUNDS:
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (hard, hard))
