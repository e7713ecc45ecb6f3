"""The library's public names with their docstrings, as directives of Sphinx's autodoc."""

import inspect
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

import nst_jax

ROOMS = ("pictures", "network", "weights", "loss", "optim", "measures", "transfer", "topologies", "runs")
"""Those with public names."""


def of_package() -> str:
    """The names of `nst_jax`, as MyST."""
    return _as_myst(_documented(nst_jax, nst_jax.__all__))


def of_rooms() -> str:
    """The names of each room that are not those of `nst_jax`, a section for each room."""
    known = {id(getattr(nst_jax, name)) for name in nst_jax.__all__}
    text = ""
    for room in ROOMS:
        module = import_module(f"nst_jax.{room}")
        text += f"## nst_jax.{room}\n{module.__doc__}\n\n"
        also = [f"`{name}`" for name in module.__all__ if id(getattr(module, name)) in known]
        own = [name for name in module.__all__ if id(getattr(module, name)) not in known]
        text += f"Also {', '.join(also)}: see the [library reference](reference.md).\n\n" if also else ""
        text += _as_myst(_documented(module, own)) if own else ""
    return text


def _documented(module: ModuleType, names: Iterable[str]) -> list[str]:
    lines = []
    for name in names:
        value = getattr(module, name)
        path = f"{module.__name__}.{name}"
        if inspect.isclass(value):
            options = [":members:", *([":undoc-members:"] if issubclass(value, Enum) else [])]
            lines += [f".. autoclass:: {path}", *(f"   {option}" for option in options), "", *_settings(value)]
        elif callable(value):
            lines += [f".. autofunction:: {path}", ""]
        else:
            lines += _constant(module, name, value)
    return lines


def _constant(module: ModuleType, name: str, value: Any) -> list[str]:
    """A constant with the docstring below it, which only the module that defines it has."""
    defined, own = origin(module, name)
    doc = ModuleAnalyzer.for_module(defined).find_attr_docs().get(("", own), [])
    shown = [f"   :value: {value!r}"] if len(repr(value)) < 200 else []
    return [f".. py:data:: {module.__name__}.{name}", *shown, "", *(f"   {line}" for line in doc), ""]


def origin(module: ModuleType, name: str) -> tuple[str, str]:
    """The module that defines a public name, and what it is called there."""
    for line in inspect.getsource(module).splitlines():
        words = line.split()
        if words[:1] == ["from"] and words[-1] == name:
            return words[1], words[3]
    raise LookupError(f"{module.__name__} has no {name}")


def _settings(kind: type) -> list[str]:
    """The fields of a class, if it is a dataclass of settings, whose help is in their metadata."""
    of = fields(kind) if is_dataclass(kind) else ()
    about = [(item.name, item.metadata) for item in of if "help" in item.metadata]
    lines = [f"   :param {name}: {_plain(metadata['help'])}" for name, metadata in about]
    return lines and [*lines, ""]


def _plain(text: str) -> str:
    return text.replace("*", r"\*").replace("|", r"\|").replace("`", "``")


def _as_myst(lines: list[str]) -> str:
    return "````{eval-rst}\n.. highlight:: python\n\n" + "\n".join(lines) + "\n````\n"
