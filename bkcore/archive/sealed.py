"""Small facts in files that carry the sha256 of their own bytes: a flipped bit makes one unreadable, never another."""

import hashlib
from typing import TypeVar

import msgspec

Fact = TypeVar("Fact", bound=msgspec.Struct)


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fact: msgspec.Raw
    sha256: str


def seal(fact: msgspec.Struct) -> bytes:
    """The bytes of a fact's file."""
    body = msgspec.json.encode(fact)
    return msgspec.json.encode(_Sealed(msgspec.Raw(body), hashlib.sha256(body).hexdigest()))


def unseal(data: bytes, kind: type[Fact]) -> Fact | None:
    """The fact in a file's bytes, None when they are not what was written."""
    try:
        sealed = msgspec.json.decode(data, type=_Sealed)
        if hashlib.sha256(bytes(sealed.fact)).hexdigest() != sealed.sha256:
            return None
        return msgspec.json.decode(sealed.fact, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
