"""While pages come, Python looks seldom for objects that only hold each other; afterwards as before."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from catalogsync.collecting import rare_collections


@pytest.fixture(params=[700, 500_000, 0])
def usual(request: pytest.FixtureRequest) -> Iterator[int]:
    """How many objects are made between two looks; 0: it never looks."""
    before = gc.get_threshold()
    gc.set_threshold(request.param)
    yield request.param
    gc.set_threshold(*before)


def test_it_looks_seldom_meanwhile_and_as_before_afterwards(usual: int) -> None:
    with suppress(KeyError), rare_collections():
        assert gc.get_threshold()[0] == (max(usual, 100_000) if usual else 0)
        raise KeyError
    assert gc.get_threshold()[0] == usual


def test_the_last_one_to_end_sets_it_back_whoever_began_first(usual: int) -> None:
    first, second = rare_collections(), rare_collections()
    for each in (first, second):
        each.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] == (max(usual, 100_000) if usual else 0)
    second.__exit__(None, None, None)
    assert gc.get_threshold()[0] == usual
