"""Everything that can go wrong, split by who can act.

CatalogSyncError
├── UserError          a person can mend it: told in full, all problems at once, never a traceback
│   ├── SheetError         the sheet cannot be read                                      exit 1
│   ├── MappingError       the mapping is invalid, or does not fit sheet or catalog      exit 1
│   ├── RowsRejected       --strict, and some rows have problems                         exit 3
│   ├── GuardRefused       a guard stopped the plan                                      exit 4
│   ├── StalePlan          the catalog is no longer what the plan was made from          exit 5
│   ├── CatalogBusy        another run is writing to the same catalog                    exit 6
│   ├── NoAccount          no account is set                                             exit 7
│   └── FileInUse          a file cannot be replaced while another program holds it      exit 1
├── Stopped            a person or the system asked to stop                          exit 130, 143
└── ApiError           the remote side said no, or said nothing
    ├── Refused            the request as a whole was refused                            exit 1
    ├── UnexpectedAnswer   an answer that cannot be understood                           exit 1
    ├── Temporary          not now; nothing was written; run again                       exit 6
    ├── BudgetSpent        it was not asked: the run's budget is used up; run again              exit 6
    ├── InDoubt            a write went out and no answer came back                      exit 6
    └── Unauthorized       the token is wrong, expired, without rights, or blocked       exit 7
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


def name_of(path: Path) -> str:
    """A file's name as it can be told and stored: on Linux it may hold bytes that are no text, which are replaced."""
    return path.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Spot:
    """A cell of the sheet, or a whole row: `row` is 1-based (row or line), `column` 0-based or None."""

    row: int
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing a person has to mend: where it is, what it is, and the way out.

    `where` is a full address: ``prices.xlsx!Sheet1!B17 (Price)``, ``prices.csv:17 (Price)``
    or ``products.yaml:12 columns.Price.blank``. `spots` are all cells or rows of the sheet that it is about,
    that of the address first; none where it is about something else.
    """

    where: str
    what: str
    hint: str = ""
    spots: tuple[Spot, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f" ({self.hint})" if self.hint else "")


class CatalogSyncError(Exception):
    """The root: whatever this project raises on purpose."""

    exit_code = 1


class UserError(CatalogSyncError):
    """A person can mend it. Carries every problem found, not the first one."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {problem}" for problem in self.problems)])


class SheetError(UserError):
    """The sheet cannot be read. An unreadable file is never an empty catalog."""


class MappingError(UserError):
    """The mapping file is invalid, or does not fit the sheet or the catalog."""


class RowsRejected(UserError):
    """Some rows have problems and the caller asked for all or nothing (``--strict``)."""

    exit_code = 3


class GuardRefused(UserError):
    """A guard stopped the plan: a ceiling, or the mark of a broken sheet. Nothing was written."""

    exit_code = 4


class StalePlan(UserError):
    """The catalog changed since the plan was made. Nothing was written."""

    exit_code = 5


class CatalogBusy(UserError):
    """Another run is writing to the same catalog. Says which process."""

    exit_code = 6


class NoAccount(UserError):
    """No account is set. Says how to set one."""

    exit_code = 7


class FileInUse(UserError):
    """A file cannot be replaced: on Windows, one that another program has open."""


class Stopped(CatalogSyncError):
    """A person (Ctrl+C) or the system (SIGTERM) asked to stop; what was on its way was finished."""

    exit_code = 130

    def __init__(self, signal: int) -> None:
        super().__init__("stopped as asked")
        self.exit_code = 128 + signal


class ApiError(CatalogSyncError):
    """The remote side said no, or said nothing. `status` is the HTTP status, 0 where none came."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Refused(ApiError):
    """The request as a whole was refused (400, 404, 422 …); nothing of it was stored. `body` is the answer's JSON."""

    def __init__(self, message: str, *, status: int = 0, body: object = None) -> None:
        super().__init__(message, status=status)
        self.body = body


class UnexpectedAnswer(ApiError):
    """The answer cannot be understood: cut off, garbled, or of another shape."""


class Temporary(ApiError):
    """Not now: rate limit, server error or no connection, on a request that wrote nothing."""

    exit_code = 6


class BudgetSpent(ApiError):
    """A request was not sent: so many, or so much time, the run was given (budget.py). What went before is recorded."""

    exit_code = 6


class InDoubt(ApiError):
    """A write went out and its answer is unknown: it may or may not have been applied.

    `was_slow`: the server, or the gateway before it, took too long; less at a time may help.
    """

    exit_code = 6

    def __init__(self, message: str, *, status: int = 0, was_slow: bool = False) -> None:
        super().__init__(message, status=status)
        self.was_slow = was_slow or status == 504


class Unauthorized(ApiError):
    """The token is wrong, expired or without rights, or the account is blocked."""

    exit_code = 7
