"""How often Python looks for objects that only hold each other."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_RARELY = 100_000
_lock = threading.Lock()
_usual: list[int] = []


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look seldom, while objects come by the ten thousand and go again by themselves, as those of pages and answers do.

    Looking among them each time took twice as long as making them. It may be used by several threads at once.
    """
    with _lock:
        usual = gc.get_threshold()[0]
        _usual.append(usual)
        gc.set_threshold(max(usual, _RARELY) if usual else 0)
    try:
        yield
    finally:
        with _lock:
            first = _usual[0]
            _usual.pop()
            if not _usual:
                gc.set_threshold(first)
