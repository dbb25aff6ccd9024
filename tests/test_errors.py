"""The error tree as drawn, and what a message looks like."""

from __future__ import annotations

import re

import pytest

from catalogsync import errors
from catalogsync.errors import ApiError, CatalogSyncError, MappingError, Problem, Temporary

_DRAWN = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+)\b(?:.*\bexit (?P<exit>\d+))?")

Tree = dict[str, tuple[str, int]]
"""Parent and exit code by class name; the exit code of a branch is its class's own."""


def _drawn() -> Tree:
    tree: Tree = {}
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines()[2:]:
        match = _DRAWN.match(line)
        assert match, line
        depth = len(match["indent"]) // 4
        parents[depth:] = [match["name"]]
        tree[match["name"]] = (parents[depth - 1] if depth else "Exception", int(match["exit"] or 1))
    return tree


def _real() -> Tree:
    classes = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, CatalogSyncError)]
    return {kind.__name__: (kind.__mro__[1].__name__, kind.exit_code) for kind in classes}


def test_the_drawn_tree_is_the_real_one_with_its_exit_codes() -> None:
    assert _drawn() == _real()


def test_exit_codes_are_those_of_the_command_line() -> None:
    assert {code for _, code in _real().values()} == {1, 3, 4, 5, 6, 7, 130}


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (
            Problem("a.csv:17 (Price)", '"x" is not a number', "write 1.5"),
            'a.csv:17 (Price): "x" is not a number (write 1.5)',
        ),
        (Problem("a.csv:17", "is empty"), "a.csv:17: is empty"),
        (Problem("", "two elements hold the key"), "two elements hold the key"),
    ],
)
def test_a_problem_reads_as_place_matter_and_way_out(problem: Problem, told: str) -> None:
    assert str(problem) == told


def test_a_user_error_tells_every_problem_on_a_line_of_its_own() -> None:
    error = MappingError("m.yaml: the mapping is not valid", [Problem("m.yaml:1", "a"), Problem("m.yaml:2", "b")])
    assert str(error) == "m.yaml: the mapping is not valid\n  m.yaml:1: a\n  m.yaml:2: b"
    assert isinstance(error, CatalogSyncError)


def test_an_api_error_keeps_its_status() -> None:
    error = Temporary("the server is busy", status=503)
    assert (str(error), error.status, error.exit_code, isinstance(error, ApiError)) == (
        "the server is busy",
        503,
        6,
        True,
    )
