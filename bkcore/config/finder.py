"""Walking a decoded TOML document along the shape that it should have, and noting everything that is wrong."""

import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from bkcore.config.client import ClientConfig, SourceOptions, name_faults
from bkcore.config.lines import KeyPath
from bkcore.config.load import Modules
from bkcore.config.values import Table, decode_value

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}
_BAD = object()


@dataclass(frozen=True, slots=True)
class Found:
    """One fault at a key path. near: the known word that may be meant, or ""."""

    path: KeyPath
    text: str
    near: str = ""


class Finder:
    """Finds all faults of one document. modules: the options of each module by its name."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        self._found: list[Found] = []

    def find(self, table: dict[str, Any], kind: type[Table]) -> list[Found]:
        """The faults of a document that should be a `kind`, in no particular order."""
        self._table(table, kind, ())
        if kind is ClientConfig and isinstance(table.get("name"), str):
            for key, text in name_faults(table["name"], self._modules):
                self._note((key,), text)
        return self._found

    def _note(self, path: KeyPath, text: str, near: str = "") -> None:
        self._found.append(Found(path, text, near))

    def _table(self, value: object, kind: type[Table], path: KeyPath) -> object:
        """The table as its struct, or _BAD. Keys that are wrong are taken as empty, so that the rest is judged too."""
        if not isinstance(value, dict):
            self._note(path, f"must be a table, not {_word(value)}")
            return _BAD
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        known = [*fields, *filter(None, [kind.__struct_config__.tag_field])]
        for key in value:
            if key not in known:
                self._note((*path, key), "unknown key", near(key, known))
        made = kind(**{field.name: given for field, given in self._fields(value, fields, path)})
        self._rules(made, path)
        return made

    def _fields(self, value: dict[str, Any], fields: dict[str, Any], path: KeyPath) -> Iterator[tuple[Any, object]]:
        """Each field that the table gives well, and a stand-in for each that it must give and does not."""
        for key, field in fields.items():
            given = _BAD
            if key in value:
                given = self._value(value[key], field.type, (*path, key))
            elif field.required:
                self._note((*path, key), f"is missing{_wish(field.type)}")
            if given is not _BAD:
                yield field, given
            elif field.required:
                yield field, _empty(field.type)

    def _rules(self, made: Table, path: KeyPath) -> None:
        """What the table itself has to say, but not about what has a fault already: it did not see those values."""
        seen = {each.path for each in self._found}
        for key, text in made.faults():
            told = (*path, *((key,) if isinstance(key, str) else key))
            if not any(_about(told, each, path) for each in seen):
                self._note(told, text, _guess(made, told))

    def _value(self, value: object, kind: Any, path: KeyPath) -> object:
        """The value as what its type asks for, or _BAD."""
        inner = _plain(kind)
        origin, arguments = typing.get_origin(inner), typing.get_args(inner)
        if inner is SourceOptions:
            return self._source(value, path)
        if isinstance(inner, type) and issubclass(inner, Table):
            return self._table(value, inner, path)
        if origin is dict and isinstance(value, dict):
            return self._whole({key: self._value(each, arguments[1], (*path, key)) for key, each in value.items()})
        if origin is list and isinstance(value, list):
            parts = [self._value(each, arguments[0], (*path, index)) for index, each in enumerate(value)]
            return _BAD if any(part is _BAD for part in parts) else parts
        try:
            return msgspec.convert(value, kind, dec_hook=decode_value)
        except msgspec.ValidationError as error:
            self._note(path, _complaint(value, kind, error), near(str(value), _choices(inner)))
            return _BAD

    @staticmethod
    def _whole(parts: dict[str, Any]) -> dict[str, Any]:
        """Tables that could be read; a name whose table could not be read still exists."""
        return {key: part for key, part in parts.items() if part is not _BAD}

    def _source(self, value: object, path: KeyPath) -> object:
        if not isinstance(value, dict):
            self._note(path, f"must be a table, not {_word(value)}")
            return _BAD
        name = value.get("module")
        if isinstance(name, str) and name in self._modules:
            return self._table(value, self._modules[name], path)
        known = ", ".join(sorted(self._modules))
        if name is None:
            self._note((*path, "module"), f"is missing: one of {known}")
        else:
            guess = near(str(name), self._modules)
            self._note((*path, "module"), f"unknown module {name}" + ("" if guess else f": one of {known}"), guess)
        return SourceOptions()


def _guess(made: Table, told: KeyPath) -> str:
    """The server that may be meant by a default-server that does not exist."""
    if isinstance(made, ClientConfig) and told == ("default-server",):
        return near(made.default_server, made.server)
    return ""


def _about(told: KeyPath, seen: KeyPath, table: KeyPath) -> bool:
    """Whether what a table tells is about a value in which a fault was seen: that key, or a list that holds it."""
    if told == table:
        return seen[: len(table)] == table
    inside = seen[: len(told)] == told and all(isinstance(part, int) for part in seen[len(told) :])
    return inside or (len(seen) > len(table) and told[: len(seen)] == seen)


def near(word: str, known: Iterable[str]) -> str:
    """The known word that is most like this one, "" if none is."""
    import difflib

    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def _plain(kind: Any) -> Any:
    """A type without its annotation and without None."""
    if typing.get_origin(kind) is typing.Annotated:
        return _plain(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (inner,) = [each for each in typing.get_args(kind) if each is not type(None)] or [kind]
        return _plain(inner)
    return kind


def _description(kind: Any) -> str:
    """The words of the pattern or bounds of a type, "" if it has none."""
    for each in typing.get_args(kind):
        if isinstance(each, msgspec.Meta) and each.description:
            return each.description
        if words := _description(each):
            return words
    return ""


def _choices(kind: Any) -> list[str]:
    return [str(each) for each in typing.get_args(kind)] if typing.get_origin(kind) is typing.Literal else []


def _empty(kind: Any) -> Any:
    """A value that stands in for one that is missing or wrong."""
    inner = _plain(kind)
    origin = typing.get_origin(inner)
    if origin is typing.Literal:
        return typing.get_args(inner)[0]
    return inner() if origin is None else origin()


def _wish(kind: Any) -> str:
    words = _description(kind) or " or ".join(f'"{each}"' for each in _choices(_plain(kind)))
    return f": {words}" if words else ""


def _complaint(value: object, kind: Any, error: msgspec.ValidationError) -> str:
    inner = _plain(kind)
    if typing.get_origin(inner) is None and (words := _description(kind)):
        return f"must be {words}"
    if choices := _choices(inner):
        return "must be " + " or ".join(f'"{each}"' for each in choices)
    wanted = _WORDS.get(typing.get_origin(inner) or inner)
    if wanted and not isinstance(value, typing.get_origin(inner) or inner):
        return f"must be {wanted}, not {_word(value)}"
    return str(error).split(" - at `$")[0]


def _word(value: object) -> str:
    """What a TOML value is, in words."""
    for kind in (bool, str, int, float, list, dict):
        if isinstance(value, kind):
            return _WORDS[kind]
    return "a date or time"
