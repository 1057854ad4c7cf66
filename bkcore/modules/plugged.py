"""Modules that others write: a file NAME.py in the home's modules/, or an installed one (entry point "bkcore.modules").

A file says `MODULE = …`, an entry point leads to the same; the value is a Module whose name is that of the file or the
entry point. It runs as the account that the home belongs to, so a file that others may write is refused. Installed ones
are looked for only when a name is asked for that nothing else has: looking takes longer than an idle tick.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bkcore.config.client import SourceOptions
from bkcore.errors import ConfigError
from bkcore.modules.base import Module
from bkcore.safe import safe

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "bkcore.modules"
_ENDING = ".py"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Plugged(Mapping[str, Module]):
    """All modules by name: those that are built in, of a folder, and installed ones. The first that has a name counts.

    Looking one up raises ConfigError when its file cannot be taken. Only what is looked up is loaded. An installed one
    is among them when it was looked up.
    """

    def __init__(self, built_in: Mapping[str, Module], folder: Path) -> None:
        self._loaded = dict(built_in)
        self._folder = folder
        self._files = _files(folder)

    def __getitem__(self, name: str) -> Module:
        if name not in self._loaded:
            found = _of_file(self._files[name]) if name in self._files else _installed(name)
            self._loaded[name] = _checked(found, name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._loaded, *self._files]))

    def __len__(self) -> int:
        return len(list(iter(self)))


class Options(Mapping[str, type[SourceOptions]]):
    """The options of modules by the names, and the aliases, that bk.toml says."""

    def __init__(self, modules: Mapping[str, Module], aliases: Mapping[str, str]) -> None:
        self._modules, self._aliases = modules, aliases

    def __getitem__(self, name: str) -> type[SourceOptions]:
        return self._modules[self._aliases.get(name, name)].Options

    def __contains__(self, name: object) -> bool:
        return name in self._modules or name in self._aliases

    def __iter__(self) -> Iterator[str]:
        return iter([*self._modules, *self._aliases])

    def __len__(self) -> int:
        return len(self._modules) + len(self._aliases)


def _files(folder: Path) -> dict[str, Path]:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(_ENDING) and name[0] not in "._")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {name.removesuffix(_ENDING): folder / name for name in names}


def _of_file(path: Path) -> object:
    """What a file says as MODULE. ConfigError."""
    from importlib.util import module_from_spec, spec_from_file_location

    _require_own(path)
    spec = spec_from_file_location(f"bk_module_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - it may fail in any way, and is not ours
        raise ConfigError(f"{path} cannot be loaded: {type(error).__name__}: {safe(str(error), 300)}") from None
    if not hasattr(module, "MODULE"):
        raise ConfigError(f"{path} says no MODULE", hint="MODULE = the module, as DESIGN.md shows")
    return module.MODULE


def _require_own(path: Path) -> None:
    """It is run: so nobody but the owner of the home may write it, or what it lies in. ConfigError."""
    owner = path.parent.parent.stat().st_uid
    for each in (path, path.parent):
        found = each.stat()
        if found.st_uid not in (owner, 0) or found.st_mode & _OTHERS_WRITE:
            raise ConfigError(f"{each} may be written by others, and would be run", hint=f"chmod go-w {each}")


def _installed(name: str) -> object:
    """KeyError: there is none of that name."""
    from importlib.metadata import entry_points

    found: tuple[EntryPoint, ...] = tuple(entry_points(group=GROUP, name=name))
    if not found:
        raise KeyError(name)
    try:
        return found[0].load()
    except Exception as error:  # noqa: BLE001 - it may fail in any way, and is not ours
        raise ConfigError(f"the installed module {name} cannot be loaded: {safe(str(error), 300)}") from None


def _checked(found: object, name: str) -> Module:
    """ConfigError unless it is a module of that name."""
    missing = [part for part in _PARTS if not hasattr(found, part)]
    if missing:
        raise ConfigError(f"the module {name} has no {', '.join(missing)}", hint="DESIGN.md shows what a module has")
    module: Module = found  # type: ignore[assignment]  # it has all that a module has
    tag = module.Options.__struct_config__.tag
    if module.name != name or tag != name:
        raise ConfigError(f"the module {name} calls itself {safe(str(module.name))}, and its sources {safe(str(tag))}")
    return module


_PARTS = ("name", "Options", "sources", "places", "check", "prepare", "restore")
