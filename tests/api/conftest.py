from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from catalogsync.api.client import Client
from catalogsync.emulator.server import Emulator
from tests.api.helpers import Clock, client_of, seed


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    """Retries follow each other at once, as often as in earnest."""
    with stamina.set_testing(True, attempts=7, cap=True):
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emulator(clock: Clock) -> Iterator[Emulator]:
    with Emulator(seed=seed(), rps=0, clock=clock) as emulator:
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with client_of(emulator) as client:
        yield client
