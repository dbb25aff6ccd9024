"""A memory and a project of its own for every test, and no secret known from the one before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogsync.reconcile.secrets import forget_secrets
from catalogsync.reconcile.state import Memory
from tests.e2e.conftest import Start, catalog_of, start
from tests.reconcile.projects import FIELDS, Project
from tests.reconcile.turns import Desk

__all__ = ["start"]


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


@pytest.fixture
def project(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr("catalogsync.reconcile.whole.LOOK_S", 0.0)  # tests of sources look at what waiting is for
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(start(catalog_of(FIELDS)), folder)
