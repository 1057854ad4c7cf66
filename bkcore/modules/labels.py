"""Labels: short names of sources that are folder names too, made of names in the configuration and of paths."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bkcore.modules.base import Source

_LONGEST = 100
_OTHER = re.compile(rb"[^A-Za-z0-9._-]")


def label_of(name: str, below: bytes) -> str:
    """The label of something that lies at `below` under the source `name`: other bytes become "_"."""
    slug = _OTHER.sub(b"_", below.strip(b"/")).decode("ascii")
    label = f"{name}-{slug}" if slug else name
    return label if len(label) <= _LONGEST else _hashed(label, below)


def unique(sources: Iterable[Source], taken: frozenset[str]) -> list[Source]:
    """The same sources, each with its own label. taken: names of the configuration, which stay with their source.

    Where several would have one label all of them get a hash of their path, so that none is ever taken for another
    when one of them comes or goes.
    """
    sources = list(sources)
    counts = Counter(source.label for source in sources)
    made = [source for source in sources if counts[source.label] > 1 and not _owns(source, taken)]
    return [replace(each, label=_hashed(each.label, each.path)) if each in made else each for each in sources]


def _owns(source: Source, taken: frozenset[str]) -> bool:
    """Whether that is the source's name in the configuration itself, and not one made of a path."""
    return source.label in taken and not getattr(source.options, "below", None)


def _hashed(label: str, path: bytes) -> str:
    mark = hashlib.sha256(path).hexdigest()[:8]
    return f"{label[: _LONGEST - 9]}-{mark}"
