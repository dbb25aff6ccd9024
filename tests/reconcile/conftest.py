"""A memory of its own for every test, and no secret known from the one before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogsync.reconcile.secrets import forget_secrets
from catalogsync.reconcile.state import Memory
from tests.reconcile.turns import Desk


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "state" / "jobs.sqlite")


@pytest.fixture
def desk(memory: Memory) -> Desk:
    return Desk(memory)


@pytest.fixture(autouse=True)
def _no_known_secrets() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()
