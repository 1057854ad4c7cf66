"""A name of ours that stands in Textual's classes too would replace what Textual does by it, without a word."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import FunctionType

import bkconsole

# What Textual means to be replaced.
MEANT = frozenset(
    {
        *("compose", "render", "render_line", "get_content_height", "get_content_width", "on_mount", "on_unmount"),
        *("get_theme_variable_defaults", "action_command_palette", "discover", "search", "notify_style_update"),
        *("control", "_abc_impl"),
    }
)


def shadowed() -> Iterator[str]:
    for found in pkgutil.walk_packages(bkconsole.__path__, "bkconsole."):
        for kind in vars(importlib.import_module(found.name)).values():
            if isinstance(kind, type) and kind.__module__ == found.name:
                bases = [base for base in kind.__mro__ if base.__module__.split(".")[0] == "textual"]
                for name, value in vars(kind).items():
                    if isinstance(value, FunctionType | property) and any(name in vars(base) for base in bases):
                        yield f"{found.name}.{kind.__name__}.{name}"


def is_meant(name: str) -> bool:
    return name in MEANT or (name.startswith("__") and name.endswith("__"))


def test_no_class_of_ours_replaces_what_textual_does_not_mean_to_be_replaced() -> None:
    assert [name for name in shadowed() if not is_meant(name.rpartition(".")[2])] == []
