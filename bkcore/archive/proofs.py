"""What drills proved: small durable files, `data/<client>/<method>/proofs/<id>.<stamp>`, sealed, one a drill.

They are only ever added, and cannot be recomputed, so they are a part of the truth. They go with their version.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bkcore.archive.local import LocalStore
from bkcore.archive.sealed import seal, unseal
from bkcore.errors import Damaged, Missing
from bkcore.state import Method

FORMAT = 1
# What each level is called. The first is never more than it says: nothing was started, and nothing asked.
LEVELS = {1: "unpacked and hashed", 2: "checked by its module", 3: "read into a service and queried"}


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One drill of one version. level: see LEVELS; of a failed one the level that was tried. text: what was found.

    at: when it ended. seconds: it took. bytes: that were read. by: who had it done. root: the version's, when it was
    drilled. version, source, module: the version's, as people call it.
    """

    id: str
    at: datetime
    level: int
    passed: bool
    root: str
    source: str
    module: str
    version: str
    seconds: float
    bytes: int
    by: str
    text: str = ""
    format: int = FORMAT


class Proofs:
    """All proofs on one client's versions. folder: data/<client>."""

    def __init__(self, folder: Path) -> None:
        self._store = LocalStore(folder)

    def record(self, method: Method, proof: Proof) -> None:
        """Write it down, durable on return."""
        stamp = f"{proof.at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
        self._store.create(f"{_folder(method)}{proof.id}.{stamp}", seal(proof))

    def all(self) -> list[Proof]:
        """Every proof that can be read, the oldest first."""
        found = [proof for _, proof in self._scan() if proof is not None]
        return sorted(found, key=lambda proof: (proof.at, proof.id))

    def damaged(self) -> list[str]:
        """The names of those that cannot be read."""
        return [key for key, proof in self._scan() if proof is None]

    def forget(self, method: Method, version: str) -> None:
        """Drop those of a version that is no more. Only cleaning does this."""
        for stat in list(self._store.list(f"{_folder(method)}{version}.")):
            self._store.delete(stat.key)

    def _scan(self) -> Iterator[tuple[str, Proof | None]]:
        for method in Method:
            for stat in self._store.list(_folder(method)):
                yield stat.key, self._read(stat.key)

    def _read(self, key: str) -> Proof | None:
        try:
            proof = unseal(self._store.read(key), Proof)
        except (Damaged, Missing):
            return None
        whole = proof is not None and proof.format == FORMAT and proof.at.tzinfo is not None
        return proof if proof and whole and key.rpartition("/")[2].startswith(f"{proof.id}.") else None


def _folder(method: Method) -> str:
    return f"{method.value}/proofs/"
