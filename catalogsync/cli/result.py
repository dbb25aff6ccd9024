"""``--result FILE.xlsx``: the result workbook of a command that writes, whatever it comes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalogsync.cli import common, printable
from catalogsync.errors import CatalogSyncError

if TYPE_CHECKING:
    import pandas as pd

    from catalogsync.model import Change
    from catalogsync.plan import Plan
    from catalogsync.reader import Sheet
    from catalogsync.sync import Planned
    from catalogsync.writer import Report


@dataclass
class ResultFile:
    """The result workbook of one command; without a path nothing is written. `written` is the file that was."""

    path: Path | None
    sheet: Sheet | None = None
    plan: Plan | None = None
    ids: pd.Series | None = None
    left_out: tuple[Change, ...] = ()
    written: Path | None = None
    has_failed: bool = False
    is_over: bool = False

    def take(self, plan: Plan, planned: Planned) -> None:
        """What it is made from, where a plan was made in this run."""
        from catalogsync.outcomes import matched_ids

        if self.path is not None:
            self.sheet, self.plan, self.ids = planned.sheet, plan, matched_ids(planned.wanted, planned.base)

    def read(self, source: Path, plan: Plan, mapping_path: Path | None) -> None:
        """What it is made from, where the plan was stored: its sheet is read again."""
        from catalogsync.resultbook import read_source

        self.sheet, self.plan = read_source(source, plan, mapping_path), plan

    def approve(self, approved: Plan) -> None:
        """That only a part of the plan was approved."""
        from catalogsync.outcomes import not_approved

        if self.plan is not None:
            self.left_out, self.plan = tuple(not_approved(self.plan, approved)), approved

    def write(self, report: Report | None, why_not: str = "") -> None:
        """Write it, once, and say so. That it cannot be written is told, and undoes nothing."""
        from catalogsync.resultbook import write_result

        if self.path is None or self.sheet is None or self.plan is None or self.is_over:
            return
        self.is_over = True
        try:
            made = write_result(
                self.path, self.sheet, self.plan, report, why_not=why_not, ids=self.ids, left_out=self.left_out
            )
        except CatalogSyncError as error:
            self.has_failed = True
            common.say(printable(f"No result workbook: {error}"))
            return
        self.written = made.path
        if made.path != self.path:
            common.say(printable(f"{self.path} is open in another program, so it stays as it is."))
        rows = "1 row needs a person: mend it" if made.to_mend == 1 else f"{made.to_mend} rows need a person: mend them"
        mend = f"; {rows} there and import that file" if made.to_mend else ""
        common.say(printable(f"Result of every row: {made.path}{mend}"))

    def leave(self, why: str) -> None:
        """Write none, and say why."""
        if self.path is not None:
            self.is_over = True
            common.say(printable(f"No result workbook: {why}."))

    @property
    def exit_codes(self) -> list[int]:
        """1 where it could not be written."""
        return [1] if self.has_failed else []


def why_not_applied(error: CatalogSyncError) -> str:
    """Why nothing was written, as a result workbook says it."""
    from catalogsync import resultbook

    return resultbook.why_not_applied(error)


@contextmanager
def result_file(path: Path | None, *sources: Path) -> Iterator[ResultFile]:
    """The result workbook, also of a command that fails. `sources` are the files that it may not replace."""
    common.check_workbook("--result", "what became of each row", path, *sources)
    if path is not None and not path.parent.is_dir():
        raise click.UsageError(f"--result {path}: there is no folder {path.parent}")
    result = ResultFile(path)
    try:
        yield result
    except click.Abort:  # Ctrl+C at the question
        result.write(None, "the question was not answered")
        raise
    except CatalogSyncError as error:
        if path is not None and result.plan is None:
            why = "there is no plan of the sheet"
            common.say(printable(f"No result workbook, since {why}: {path} was not written."))
        result.write(None, why_not_applied(error))
        raise
