"""A pytest fixture for the tests of programs that talk to this API: installed with the package, loaded by pytest.

def test_my_integration(catalogsync_emulator):
    account = catalogsync_emulator(seed={...})
    my_program(account.url, account.token)
    assert [arrival.method for arrival in account.requests] == ["POST"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from catalogsync.emulator.server import Emulator


@pytest.fixture
def catalogsync_emulator() -> Iterator[Callable[..., Emulator]]:
    """Starts emulators; takes what `Emulator` takes. No rate limit unless asked for. They stop with the test."""
    from catalogsync.emulator.server import Emulator

    with ExitStack() as running:

        def start(**settings: Any) -> Emulator:
            return running.enter_context(Emulator(**{"rps": 0, **settings}))

        yield start
