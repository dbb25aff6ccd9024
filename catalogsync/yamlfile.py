"""A YAML file that a person wrote: every scalar is the text that was written, every key knows its line.

``00123`` and ``no`` stay text, a key that stands twice is an error, aliases that multiply or hold themselves
are refused. Errors of a pydantic model over such a file are told with file, line and key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from catalogsync.errors import MappingError, Problem

YamlPath = tuple[str | int, ...]

MOST_NODES = 200_000
"""More entries than any person's file has: aliases that multiply are stopped here."""

MOST_LEVELS = 20
"""Deeper than any person's file: stops aliases that hold themselves."""


def _as_written(_: YamlPath, key: str) -> str:
    return key


@dataclass(frozen=True)
class YamlFile:
    """A file's content as dicts, lists and text, and the line of each path in it.

    `mistakes` are keys that are no text, or stand twice: of these the first one is in the tree.
    """

    path: Path
    tree: Any = None
    lines: dict[YamlPath, int] = field(default_factory=dict)
    mistakes: tuple[Problem, ...] = ()

    def place(self, at: YamlPath) -> str:
        """A path as an address: file, line and key; of the nearest key above where the path is not there."""
        known = at
        while known and known not in self.lines:
            known = known[:-1]
        name = ".".join(str(part) for part in (known or at))
        return f"{self.path}:{self.lines.get(known, 1)} {name}".rstrip()

    def problems(self, error: ValidationError, keys_at: Callable[[YamlPath], Sequence[str]]) -> list[Problem]:
        """A model's errors in this project's words. `keys_at` names the keys that are known at a path."""
        return [self._problem(dict(entry), keys_at) for entry in error.errors()]

    def _problem(self, error: dict[str, Any], keys_at: Callable[[YamlPath], Sequence[str]]) -> Problem:
        at: YamlPath = tuple(error["loc"])
        where, kind = self.place(at), error["type"]
        if kind == "extra_forbidden":
            return Problem(where, f"unknown key `{at[-1]}`", did_you_mean(str(at[-1]), keys_at(at[:-1])))
        if kind == "missing":
            return Problem(where, f"the key `{at[-1]}` is missing")
        if kind == "literal_error":
            words = re.findall("'([^']*)'", error["ctx"]["expected"])
            expected = ", ".join(word if word.isalpha() else f'"{word}"' for word in words if word)
            return Problem(where, f'"{error.get("input")}" is not one of: {expected}')
        if kind == "value_error":
            return Problem(where, str(error["ctx"]["error"]))
        if kind in {"string_type", "tuple_type", "dict_type", "model_type", "model_attributes_type"}:
            wanted = {"string_type": "text", "tuple_type": "text or a list"}.get(kind, "`key: value` lines")
            return Problem(where, f"expected {wanted}")
        return Problem(where, str(error["msg"]))


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A hint: the known word that is nearest, else what is known."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1)
    return f"did you mean `{folded[near[0]]}`?" if near else f"known: {', '.join(known[:12])}" if known else ""


def read_yaml(path: Path, *, tidy_key: Callable[[YamlPath, str], str] = _as_written) -> YamlFile:
    """Read a file of ``key: value`` lines. `tidy_key` gets where a key stands, and the key.

    Raises MappingError where it cannot be read, or is no YAML; the caller refuses its `mistakes`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MappingError(f"{path}: no such mapping file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(f"{path}: cannot be read as a UTF-8 text file ({error})") from None
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        _refuse_too_deep(path, yaml.parse(text, Loader=loader))
        root = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = getattr(error, "problem", None) or str(error)
        raise MappingError(f"{path}: not valid YAML", [Problem(where, what)]) from None
    if not isinstance(root, yaml.MappingNode):
        raise MappingError(f"{path}: a mapping file holds `key: value` lines, beginning with `catalog:`")
    walk = _Walk(path, tidy_key)
    tree = walk.plain(root, ())
    return YamlFile(path, tree, walk.lines, tuple(walk.problems))


def _refuse_too_deep(path: Path, events: Iterable[yaml.Event]) -> None:
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_LEVELS:
            raise MappingError(f"{path}: nested more than {MOST_LEVELS} deep")


class _Walk:
    """Turns nodes into dicts, lists and text; notes the line of each path and every key that stands twice."""

    def __init__(self, path: Path, tidy_key: Callable[[YamlPath, str], str]) -> None:
        self._path = path
        self._tidy_key = tidy_key
        self.lines: dict[YamlPath, int] = {}
        self.problems: list[Problem] = []

    def plain(self, node: yaml.Node, at: YamlPath) -> Any:
        """One node."""
        self.lines.setdefault(at, node.start_mark.line + 1)
        if len(self.lines) > MOST_NODES:
            raise MappingError(f"{self._path}: more than {MOST_NODES} entries; aliases may not multiply")
        if len(at) > MOST_LEVELS:
            raise MappingError(f"{self._path}: nested more than {MOST_LEVELS} deep; an alias may not hold itself")
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(child, (*at, place)) for place, child in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return node.value
        tree: dict[str, Any] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node.value, str):
                self._refuse(line, "a key must be plain text", "put it in quotes")
                continue
            key = self._tidy_key(at, key_node.value)
            if key in tree:
                self._refuse(line, f"`{key}` stands twice, first in line {self.lines[(*at, key)]}")
                continue
            self.lines[(*at, key)] = line
            tree[key] = self.plain(child, (*at, key))
        return tree

    def _refuse(self, line: int, what: str, hint: str = "") -> None:
        self.problems.append(Problem(f"{self._path}:{line}", what, hint))
