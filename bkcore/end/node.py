"""The names of what is stored: client, client/label/hash, client/label/hash/id, and below that a path.

They are opaque to whoever gets them from an end, and the same for ever: a command line may carry one.
"""

import base64
import re
from dataclasses import dataclass

from bkcore.errors import UsageError
from bkcore.request import is_client_name, is_id, is_label

_HASH = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class NodeId:
    """One node. key: of its source ("label/hash"), version: its id, path: inside of the version; each may be empty."""

    client: str
    key: str = ""
    version: str = ""
    path: bytes = b""

    @classmethod
    def parse(cls, text: str) -> "NodeId":
        """The node of that name. UsageError when it is none."""
        client, *rest = text.split("/")
        key, version, path = "/".join(rest[:2]), "".join(rest[2:3]), "".join(rest[3:4])
        known = is_client_name(client) and len(rest) in (0, 2, 3, 4)
        known = known and (not rest or (is_label(rest[0]) and _HASH.fullmatch(rest[1]) is not None))
        if not known or (len(rest) > 2 and not is_id(version)):
            raise UsageError("that is no node of what is stored", hint="take the name of a node from a listing")
        return cls(client, key, version, _decoded(path))

    @property
    def label(self) -> str:
        """The source's label, "" for a client."""
        return self.key.partition("/")[0]

    def __str__(self) -> str:
        parts = (self.client, self.key, self.version, base64.urlsafe_b64encode(self.path).decode("ascii"))
        return "/".join(filter(None, parts))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        raise UsageError("that is no node of what is stored") from None
