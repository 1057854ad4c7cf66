"""On the server: a delivered archive becomes stored frames, or is refused.

The files come into `incomplete/<id>/`, which is kept over attempts: `<name>.part` while a file is on its way. When it
is whole, checked and synced, the manifest becomes `manifest`, and a pack goes into a vault of this one delivery in the
same folder. What is stored at last are files moved from there, so nothing is written twice.
"""

import contextlib
import hashlib
from collections.abc import Callable, Container, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

from bkcore import durable
from bkcore.archive import manifest, reader
from bkcore.archive.change import Measure, share
from bkcore.archive.delivery import check_claim, check_pack, check_short
from bkcore.archive.entries import ArchiveDetail
from bkcore.archive.frames import Ref
from bkcore.archive.intake import Kept
from bkcore.archive.manifest import Manifest, Short
from bkcore.archive.members import Caps, read_list
from bkcore.archive.outbox import MANIFEST, pack_name
from bkcore.archive.store import LARGEST_CREATED
from bkcore.archive.vault import Vault, pack_key, system_clock
from bkcore.errors import AlreadyThere, Damaged, FramesNeeded, Malformed
from bkcore.flow import Fetched, Never, Stop, Wanted, check_stop
from bkcore.request import ArchiveClaim, is_id

_PART = ".part"
_LOOKED_UP = 500


class ArchiveIntake:
    """An Intake (see there), and the Sink that it is written through. finish() or abandon() must be called.

    folder: data/<client>/sftp. request: its id. claim: what it says of the archive. full: read also those frames again
    that are stored already, instead of relying on their last check.
    """

    base: Path | None = None

    def __init__(
        self,
        folder: Path,
        request: str,
        claim: ArchiveClaim,
        *,
        caps: Caps | None = None,
        clock: Callable[[], datetime] = system_clock,
        stop: Stop | None = None,
        full: bool = False,
    ) -> None:
        if not is_id(request):
            raise Malformed(f"{request!r} is not an id")
        self.full = full
        self._request = request
        self._claim = claim
        self._caps = caps or Caps()
        self._stop = stop or Never()
        check_claim(claim, self._caps)
        self._staging = staging(folder, request)
        self._closing = contextlib.ExitStack()
        self._vault = self._closing.enter_context(Vault.open(folder, clock))
        self._brought = self._closing.enter_context(Vault.open(self._staging, clock))
        self._here: set[int] = set()

    @property
    def target(self) -> "ArchiveIntake":
        """The Sink: this intake itself."""
        return self

    def wanted(self) -> Wanted | None:
        """The next file to bring: the manifest, then each pack that is not here."""
        short = self._manifest()
        if short is None:
            return Wanted(MANIFEST, self._part(MANIFEST), LARGEST_CREATED)
        for number, pack in enumerate(short.packs):
            if not self._has(number, short):
                return Wanted(pack_name(number), self._part(pack_name(number)), pack.size)
        return None

    def done(self, name: str) -> None:
        """That file has come: it is checked and made durable. Damaged, Malformed: it is dropped."""
        part = self._part(name)
        try:
            if name == MANIFEST:
                check_short(manifest.decode(part.read_bytes()), self._claim)
                durable.sync_file(part)
                durable.move(part, self._staging / MANIFEST)
            else:
                self._take_pack(part, name)
        except (Damaged, Malformed, AlreadyThere) as error:
            durable.remove(part)
            raise error if isinstance(error, Malformed) else Damaged(f"{name}: {error.text}") from None

    def finish(self, fetched: Fetched) -> Kept:
        """See Intake. True pack by pack, then by the short manifest; all of it can be repeated."""
        try:
            return self._finish(fetched)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go; what was brought stays for the next attempt. See discard()."""
        self._closing.close()

    def _finish(self, fetched: Fetched) -> Kept:
        short = self._manifest()
        if short is None or self.wanted() is not None:
            raise Damaged("the delivery is not whole")
        whole = self._whole(short)
        members = self._check_members(short)
        self._present([self._brought, self._vault], whole)
        self._store(short)
        # Cleaning may have run meanwhile: what the version needs must be in the store itself now.
        self._vault.refresh()
        needed = [*short.manifest_refs(), *short.member_refs()]
        if self.full:
            self._reread(chain(needed, whole))
        oldest = self._present([self._vault], chain(needed, whole))
        renewed = share(self._fresh(short, whole), whole.size)
        kept = self._vault.put_manifest(manifest.encode(short))
        self._brought.close()
        durable.remove_tree(self._staging)
        return Kept(
            root=whole.root,
            size=short.size,
            new_bytes=sum(pack.size for pack in short.packs),
            oldest_check=datetime.fromtimestamp(oldest, UTC),
            partial=short.unread + fetched.notes.unread,
            detail=ArchiveDetail(manifest=kept, stream_sha256=short.stream_sha256),
            notes=(*short.notes, *fetched.notes.lines),
            measure=Measure(things=members, bytes=whole.size, renewed=renewed),
        )

    def _part(self, name: str) -> Path:
        return self._staging / (name + _PART)

    def _pack(self, number: int) -> str:
        return f"{self._request}-{number:04d}"

    def _manifest(self) -> Short | None:
        """The manifest that has come, None if it has not. One that was spoilt since is brought again."""
        try:
            short = manifest.decode((self._staging / MANIFEST).read_bytes())
            check_short(short, self._claim)
        except FileNotFoundError:
            return None
        except Malformed:
            durable.remove(self._staging / MANIFEST)
            return None
        return short

    def _has(self, number: int, short: Short) -> bool:
        pack, claim = self._pack(number), short.packs[number]
        if number not in self._here:
            vaults = (self._brought, self._vault)
            if any(vault.has_pack(pack, claim.size, bytes.fromhex(claim.footer)) for vault in vaults):
                self._here.add(number)
        return number in self._here

    def _take_pack(self, part: Path, name: str) -> None:
        short = self._manifest()
        names = [pack_name(number) for number in range(len(short.packs) if short else 0)]
        if short is None or name not in names:
            raise Damaged("nobody asked for it")
        number = names.index(name)
        check_pack(part, short.packs[number], self._stop)
        self._brought.add_pack(self._pack(number), part)

    def _whole(self, short: Short) -> Manifest:
        """The canonical manifest, which must be the one that the request claims."""
        data = b"".join(self._read(short.manifest_refs()))
        if hashlib.sha256(data).hexdigest() != self._claim.root:
            raise Malformed("the manifest is not the one that the request claims: its sha256 differs")
        whole = Manifest.parse(data)
        if (whole.params, whole.size) != (short.params, short.size):
            raise Malformed("the short manifest and the manifest disagree")
        return whole

    def _check_members(self, short: Short) -> int:
        """How many there are."""
        number = 0
        for number, _ in enumerate(read_list(self._read(short.member_refs()), short.size, self._caps), 1):
            if number % 1000 == 0:
                check_stop(self._stop)
        return number

    def _read(self, refs: list[Ref]) -> Iterator[bytes]:
        """The plain bytes of frames that were brought or are stored. FramesNeeded."""
        self._present([self._brought, self._vault], refs)
        for ref in refs:
            vault = self._brought if self._brought.locate(ref.id) else self._vault
            try:
                yield vault.read_frame(ref.id)
            except Damaged as error:
                location = vault.locate(ref.id)
                vault.mark_damaged([(ref.id, location.pack)] if location else [], error.text)
                raise _need([ref.id]) from None

    def _present(self, vaults: list[Vault], refs: Iterable[Ref]) -> int:
        """When the one of these frames that was not checked for longest was: seconds since 1970.

        FramesNeeded: some are in none of the vaults. Malformed: one is, and has another length than is said.
        """
        missing: dict[bytes, None] = {}
        oldest = int(self._vault.clock().timestamp())
        for window in _windows(refs):
            check_stop(self._stop)
            left = window
            for vault in vaults:
                found = vault.listed(ref.id for ref in left)
                if any(found[ref.id].length != ref.length for ref in left if ref.id in found):
                    raise Malformed("the manifest lies about the length of a frame")
                oldest = min([oldest, *(each.checked for each in found.values())])
                left = [ref for ref in left if ref.id not in found]
            missing.update(dict.fromkeys(ref.id for ref in left))
        if missing:
            raise _need(missing)
        return oldest

    def _fresh(self, short: Short, whole: Manifest) -> int:
        """Bytes of the stream that lie in no pack but those of this delivery; the same at each attempt."""
        mine = {self._pack(number) for number in range(len(short.packs))}
        fresh = 0
        for window in _windows(whole):
            check_stop(self._stop)
            before = self._vault.elsewhere((ref.id for ref in window), mine)
            fresh += sum(ref.length for ref in window if ref.id not in before)
        return fresh

    def _reread(self, refs: Iterable[Ref]) -> None:
        """Check frames where they are stored. FramesNeeded: some are damaged; they leave the index."""
        bad: list[tuple[bytes, str]] = []
        for window in _windows(refs):
            check_stop(self._stop)
            found = [(piece, piece.location) for piece in reader.pieces(self._vault, window)]
            self._vault.mark_good((p.ref.id, at.pack) for p, at in found if at is not None and not p.fault)
            bad += ((p.ref.id, at.pack) for p, at in found if at is not None and p.fault)
        self._vault.mark_damaged(bad, "found when it was needed by a new archive")

    def _store(self, short: Short) -> None:
        """Move the packs into the store; those that an earlier attempt moved are there already."""
        for number, claim in enumerate(short.packs):
            pack = self._pack(number)
            if not self._vault.has_pack(pack, claim.size, bytes.fromhex(claim.footer)):
                self._vault.add_pack(pack, self._staging / pack_key(pack))


def staging(folder: Path, request: str) -> Path:
    """Where the files of a request's archive come in, below data/<client>/sftp."""
    return folder / "incomplete" / request


def discard(folder: Path, request: str) -> None:
    """Drop what was brought of a request that will not be tried again. Nothing there is fine."""
    durable.remove_tree(staging(folder, request))


def sweep(folder: Path, wanted: Callable[[], Container[str]]) -> None:
    """Drop what was brought of requests that are none of the wanted ones.

    wanted: asked when it is known what is there, so that a request that comes meanwhile loses nothing.
    """
    with contextlib.suppress(FileNotFoundError):
        found = [path for path in (folder / "incomplete").iterdir() if is_id(path.name)]
        needed = wanted() if found else ()
        for path in found:
            if path.name not in needed:
                durable.remove_tree(path)


def _need(missing: Iterable[bytes]) -> FramesNeeded:
    names = tuple(name.hex() for name in missing)
    return FramesNeeded(f"the archive needs {len(names)} frames that were neither sent nor are stored", names)


def _windows(refs: Iterable[Ref]) -> Iterator[list[Ref]]:
    rest = iter(refs)
    while window := list(islice(rest, _LOOKED_UP)):
        yield window
