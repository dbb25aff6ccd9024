"""A process that may end at any act on the outside, without ending the tests."""

from __future__ import annotations

import dataclasses
from typing import Any


class Crash(BaseException):
    """The process ends here."""


@dataclasses.dataclass
class Steps:
    """Counts down to the end of a process; from then on it does nothing any more."""

    left: int

    def step(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise Crash


class Mortal:
    """Something that acts on the outside: the process may end before or after each of its acts."""

    def __init__(self, inner: Any, steps: Steps, acts: set[str]) -> None:
        self._inner, self._steps, self._acts = inner, steps, acts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._acts:
            return found

        def act(*arguments: Any, **named: Any) -> Any:
            self._steps.step()
            result = found(*arguments, **named)
            self._steps.step()
            return result

        return act
