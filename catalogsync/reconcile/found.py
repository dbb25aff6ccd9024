"""What every kind of source has in common: sheets that were found, and how a turn takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from catalogsync.errors import Stopped
from catalogsync.stopping import Stop

TEMPORARY_ENDINGS = (".tmp", ".temp", ".crdownload", ".part", ".partial", ".filepart", ".download", "~")
"""What browsers and programs for transfers append while a file is on its way, and editors to what they keep beside."""


@dataclass(frozen=True)
class Clock:
    """The time in Unix seconds, waiting in seconds, and the wish to stop, which ends both waiting and copying."""

    now: Callable[[], float]
    sleep: Callable[[float], None]
    stop: Stop

    def pause(self, seconds: float) -> None:
        """Wait. Raises Stopped where somebody asked to stop, which may make the sleep shorter."""
        self.sleep(seconds)
        self.heed()

    def heed(self) -> None:
        """Raises Stopped where somebody asked to stop."""
        if self.stop:
            raise Stopped(self.stop.signal)

    def heeding(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces, until somebody asks to stop. Raises Stopped then."""
        for piece in pieces:
            self.heed()
            yield piece


@dataclass(frozen=True)
class Found:
    """A sheet that is there and whole.

    `name` is shown to people: a path as they wrote it, or an address without what may be secret in it. `path` is a copy
    under the sheet's own name that nobody else writes to; it stays while the sheets are held. `digest` is the sha256 of
    its bytes, in hex.
    """

    name: str
    path: Path
    digest: str


@dataclass(frozen=True)
class Pending:
    """The sheets of a turn in the order in which they are to be processed; none: nothing has come.

    `left` says of what was left where it is why, a line each. It is no problem of the sheets that are here.
    """

    sheets: tuple[Found, ...] = ()
    left: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Found]:
        return iter(self.sheets)

    def __len__(self) -> int:
        return len(self.sheets)


class Source(Protocol):
    """Where a job's sheets come from. `takes_result`: a workbook of what became of a sheet is put beside it."""

    takes_result: bool

    def pending(self) -> AbstractContextManager[Pending]:
        """What there is to process now; held until the context is left.

        Raises UserError where a person has to mend something, Temporary where the next turn may find it well, Stopped
        where somebody asked to stop meanwhile.
        """

    def finished(self, found: Found, *, is_good: bool, result: Path | None = None) -> tuple[Path, ...]:
        """Say that a sheet had its turn, while it is held: the files that people find now, the sheet's first.

        A watched folder moves it to ``done/`` or ``failed/``, and the workbook `result` beside it. Not called, the
        sheet comes again: right for a failure that says nothing about it, such as no connection to the account.
        """


def is_on_its_way(name: str) -> bool:
    """Whether a file's name says that it is no sheet yet, or never: hidden, a lock file (``~$…``), half transferred."""
    return name.startswith((".", "~$")) or name.lower().endswith(TEMPORARY_ENDINGS)


def newest(candidates: Iterator[tuple[float, str]]) -> str | None:
    """The name with the latest time; of several with the same time the last one by name."""
    return max(candidates, default=(0.0, None))[1]
