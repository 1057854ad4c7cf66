"""Reading configuration files. The way of a file without faults is short; anything else goes to the fault finder."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from bkcore.config.client import ClientConfig, SourceOptions, name_faults
from bkcore.config.reading import read_file
from bkcore.config.server import ClientRecord, ServerConfig
from bkcore.config.values import Table, decode_value
from bkcore.state import Role

if TYPE_CHECKING:
    from bkcore.config.faults import Fault

# TOML that is none, or that has not the wanted shape.
_FAULTY = (ValueError, RecursionError, msgspec.ValidationError)

Modules = Mapping[str, type[SourceOptions]]

T = TypeVar("T", bound=Table)


def role_of(path: Path) -> Role:
    """Which end a home's bk.toml describes. ConfigError when the file cannot say it."""
    data = read_file(path)
    try:
        return Role(_table(data)["role"])
    except (*_FAULTY, KeyError):
        from bkcore.config.faults import Faults

        raise Faults.of_role(data, str(path)) from None


def load_client(path: Path, modules: Modules) -> ClientConfig:
    """A client's bk.toml. modules: the options of each module by its name. ConfigError names every fault at once."""
    data = read_file(path)
    try:
        return decode_client(_table(data), modules)
    except (*_FAULTY, LookupError, TypeError, AttributeError):
        from bkcore.config.faults import Faults

        raise Faults.of_client(data, str(path), modules) from None


def load_server(path: Path) -> ServerConfig:
    """A server's bk.toml. ConfigError names every fault at once."""
    return parse_table(str(path), read_file(path), ServerConfig)


def load_record(path: Path) -> ClientRecord:
    """A clients/<client>.toml. ConfigError names every fault at once."""
    return parse_record(str(path), read_file(path))


def parse_record(name: str, data: bytes) -> ClientRecord:
    """The bytes of a clients/<client>.toml; name: what its faults call the file. ConfigError as above."""
    return parse_table(name, data, ClientRecord)


def faults_of_client(data: bytes, file: str, modules: Modules) -> "list[Fault]":
    """All faults of a client's bk.toml, in the order of their lines; file: what they call it. None when it is sound."""
    from bkcore.config.faults import find_client

    return find_client(data, file, modules)


def decode_client(table: dict[str, Any], modules: Modules) -> ClientConfig:
    """A client's configuration from its decoded TOML. Any error at the first fault."""
    sources = table.pop("source", {})
    config = decode(table, ClientConfig)
    options = {name: _source(value, modules) for name, value in sources.items()}
    config = msgspec.structs.replace(config, source=options)
    refuse_faults(config)
    for key, text in name_faults(config.name, modules):
        raise ValueError(f"{key}: {text}")
    return config


def decode(table: Mapping[str, Any], kind: type[T]) -> T:
    """One table as its struct; msgspec.ValidationError at the first fault of its types."""
    return msgspec.convert(table, kind, dec_hook=decode_value)


def refuse_faults(value: object) -> None:
    """ValueError if this table, or one below it, has a fault that types cannot say."""
    if isinstance(value, Table):
        for key, text in value.faults():
            raise ValueError(f"{key}: {text}")
        for name in value.__struct_fields__:
            refuse_faults(getattr(value, name))
    elif isinstance(value, dict):
        for below in value.values():
            refuse_faults(below)


def parse_table(name: str, data: bytes, kind: type[T]) -> T:
    """The bytes of a file that is one table of that kind; name: what its faults call it. ConfigError names them all."""
    try:
        value = decode(_table(data), kind)
        refuse_faults(value)
    except _FAULTY:
        from bkcore.config.faults import Faults

        raise Faults.of_table(data, name, kind) from None
    return value


def _source(value: dict[str, Any], modules: Modules) -> SourceOptions:
    kind = modules[value["module"]]
    return decode({**value, "module": kind.__struct_config__.tag}, kind)


def _table(data: bytes) -> dict[str, Any]:
    return tomllib.loads(data.decode("utf-8"))
