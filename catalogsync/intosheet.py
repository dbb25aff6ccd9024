"""The catalog's side back into the user's own workbook: values only, everything else in the file as it was.

sheet + catalog → rows and elements matched as a plan does → what differs (taking.py) → values in the sheet's words
(cellvalues.py) → the tab's XML patched (patching.py) → read again and checked → the file replaced, a copy kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from xml.parsers.expat import ExpatError

import numpy as np
import pandas as pd

from catalogsync import base as bases
from catalogsync import (
    bookparts,
    captions,
    checks,
    exported,
    fields,
    pairing,
    patching,
    planning,
    remarks,
    runs,
    tables,
    tabscan,
    threeway,
)
from catalogsync import model as m
from catalogsync.api.client import Client
from catalogsync.base import Base
from catalogsync.bookparts import Tab
from catalogsync.carried import lines_again
from catalogsync.celltext import is_too_long_mark, quoted
from catalogsync.columnwise import is_in
from catalogsync.elements import wanted_columns
from catalogsync.errors import Problem, SheetError, UserError
from catalogsync.exportcells import MOST_CHARACTERS
from catalogsync.journal import Journal
from catalogsync.keys import key_text
from catalogsync.lock import exclusive
from catalogsync.mapping import resolve
from catalogsync.mappingfile import MappingFile, load_mapping
from catalogsync.matching import Match
from catalogsync.patching import Value
from catalogsync.placing import Placing, excel_length
from catalogsync.planning import Watch
from catalogsync.reader import ReadOptions, Sheet, read_sheet
from catalogsync.reader.detect import XLSX
from catalogsync.reader.marks import Place
from catalogsync.reader.own import VALUES_TAB
from catalogsync.replacing import replacing, written_beside
from catalogsync.taking import Difference, differences


@dataclass(frozen=True, slots=True)
class PatchedCell:
    """A cell that got the catalog's value; the texts are as the sheet says them."""

    address: str
    key: str
    header: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class LeftCell:
    """A cell that differs from the catalog and was left, and why: a word and a sentence."""

    address: str
    key: str
    header: str
    why: str
    told: str
    sheet: str
    crm: str


@dataclass(frozen=True)
class Taken:
    """What became of a sheet. `path` is the file that was written, None where nothing was to be patched.

    `backup` is the copy of the file as it was, None where nothing was replaced. `facts` say how it was read.
    """

    path: Path | None
    backup: Path | None
    patched: tuple[PatchedCell, ...]
    left: tuple[LeftCell, ...]
    rejected: tuple[Problem, ...]
    rejected_rows: int
    matched_count: int
    rows_without_element: int
    elements_without_row: int
    notes: tuple[str, ...]
    facts: Mapping[str, str]
    is_calculated_again: bool = False


WHY: Final[Mapping[str, str]] = {
    "conflict": "changed in the sheet and in the CRM; `conflict: crm` would take the catalog's",
    "unsent": "your edit, not yet sent",
    "owner": "`owner: sheet`: the column is the sheet's",
    "agreed": "the catalog keeps its own form of it, and neither side was changed",
    "key": "it is what the row is matched by",
    "formula": "a formula is never replaced",
    "covered": "a merged cell covers it",
    "twice": "the workbook has this cell twice",
    "error": "it holds an error",
    "shared": "two columns of the mapping read this cell",
    "fill": "one cell speaks for several rows (`fill:`)",
    "long": f"more than the {MOST_CHARACTERS:,} characters that a cell holds",
    "empty": "an empty cell here would make the row no product, or reject it",
    "unsayable": "no cell would be read as what the catalog says",
}


@dataclass(frozen=True)
class _Matched:
    """A sheet's rows and the catalog's elements, as a plan matches them.

    `ids` are all elements; `shared_with_row` counts those that share a key which stands in the sheet.
    """

    desired: tables.Desired
    match: Match
    ids: pd.Index
    shared_with_row: int
    problems: tuple[Problem, ...]
    rejected_rows: int
    gone_count: int


def take_into(
    catalog_name: str, path: Path, mapping_path: Path, client: Client, journal: Journal, watch: Watch | None = None
) -> Taken:
    """Patch a workbook with what its catalog says now. Sends GETs only.

    Raises SheetError, MappingError and UserError where the file cannot be patched: then it is as it was. ApiError
    where the account does not answer, CatalogBusy where a run is writing to the catalog.
    """
    watch = watch or Watch()
    file = load_mapping(mapping_path)
    options = file.read_options(ReadOptions())
    watch.step(f"Reading {path.name}", None)
    before = _digest(path)
    sheet = read_sheet(path, options, expect=file.headers)
    if sheet.facts.get("type") != XLSX:
        raise SheetError(
            f"{path.name} is no .xlsx workbook, and nothing else is patched. Save it as .xlsx, or write a new file: "
            f"catalogsync export {quoted(catalog_name)} FILE.xlsx"
        )
    catalog = client.catalog(catalog_name)
    _refuse_other_catalog(file, catalog, client)
    schema = planning.schema_for(client, catalog, file)
    export = exported.export_of(sheet, schema)
    mapping = export.mapping(resolve(file, schema, sheet.headers))
    with exclusive(journal.folder, schema.account_id, schema.catalog_id):
        watch.step(f"Fetching {schema.catalog_name}", None)
        columns = wanted_columns(mapping.columns)
        elements = planning.fetch_elements(client, journal, schema, columns, watch)
        base_path = runs.base_path(journal, schema.account_id, schema.catalog_id, mapping.name, export.name)
        stored, lack = bases.load(base_path)
        desired = tables.desired_table(sheet, mapping, export.carried)
        known, lack = export.base(stored, lack, desired.table, mapping)

        def match(each: Sheet) -> _Matched:
            return _matched(each, mapping, elements, known, export)

        work = _Work(path, options, file, sheet, mapping, match, before, journal, export)
        taken = work.take(known, watch)
        if taken.path in (path, None) and export.carried is None:  # an export carries its base itself
            bases.save(work.agreed(known), base_path)
    return dataclasses.replace(taken, notes=(*export.notes, *_about_base(known, lack), *taken.notes))


def _refuse_other_catalog(file: MappingFile, catalog: m.Catalog, client: Client) -> None:
    meant = client.catalog(file.catalog)
    if meant.id != catalog.id:
        raise UserError(
            f"{file.path.name} is for catalog {meant.id} ({meant.name}), not for {catalog.id} ({catalog.name}): its "
            "values would come from another list"
        )


def _about_base(known: Base | None, lack: str) -> Iterator[str]:
    if known is None:
        why = lack or "without the values of the export"
        yield f"{why}: every cell that differs was taken from the catalog, edits in the sheet too"


def _matched(
    sheet: Sheet, mapping: m.Mapping, elements: pd.DataFrame, known: Base | None, export: exported.Export
) -> _Matched:
    desired = tables.desired_table(sheet, mapping, export.carried)

    def address(row: int) -> str:
        return f"{remarks.source_of(sheet)}{row}"

    pairs = pairing.paired(desired, elements, mapping, known, address, is_export=bool(export.name))
    shared = pairs.existing.shared
    match, zeroless, _ = checks.without_lost_zeros(sheet, pairs.match, shared, mapping, desired.seen)
    match, nameless = tables.without_names(match, address)
    found = (*pairs.problems, *zeroless, *nameless)
    return _Matched(
        desired,
        match,
        pairs.existing.ids,
        len({id_ for key, ids in shared.items() if key in desired.seen for id_ in ids}),
        (*desired.rejected, *found),
        desired.rejected_rows + len(found),
        len(pairs.clashes),
    )


@dataclass
class _Work:
    """One workbook while it is patched."""

    path: Path
    options: ReadOptions
    file: MappingFile
    sheet: Sheet
    mapping: m.Mapping
    match: Callable[[Sheet], _Matched]
    digest: bytes
    journal: Journal
    export: exported.Export
    after: Sheet | None = None

    def take(self, known: Base | None, watch: Watch) -> Taken:
        """Decide, patch, check, replace."""
        found = self.match(self.sheet)
        place_of = {int(row): place for place, row in enumerate(self.sheet.rows.tolist())}
        empties = self._stand_for_empty(found.match.desired, place_of)
        differs = list(differences(found.match, self.mapping, known, stand_for_empty=empties))
        differs = [each for each in differs if not self._is_marked(each)]
        takes = [each for each in differs if each.verdict == "take"]
        left = {(each.row, each.column.key): (each, str(each.verdict)) for each in differs if each.verdict != "take"}
        values: dict[Place, Value] = {}
        tab = None
        if takes:
            tab = self._open()
            for each, outcome in self._outcomes(takes, tab, place_of):
                if isinstance(outcome, Value):
                    values[each.row - 1, each.column.position] = outcome
                else:
                    left[each.row, each.column.key] = (each, outcome)
        done = [each for each in takes if (each.row, each.column.key) not in left]
        written = backup = None
        is_again = bool(values and tab and tab.has_formulas)
        if values and tab:
            watch.step(f"Writing {self.path.name}", None)
            written, backup = self._replace(tab, values, done)
        with_row = int(is_in(found.match.existing.index, found.desired.seen).sum()) + found.shared_with_row
        return Taken(
            written,
            backup,
            tuple(self._patched_cell(each, place_of) for each in done),
            tuple(self._left_cell(each, why, place_of) for each, why in left.values()),
            found.problems,
            found.rejected_rows,
            len(found.match.rows),
            int(found.match.is_new.sum()) + found.gone_count,
            len(found.ids) - with_row,
            tuple(_notes(done, known)),
            self.sheet.facts,
            is_again,
        )

    def agreed(self, known: Base | None) -> Base:
        """What the sheet, as it is now, and the catalog agree on."""
        found = self.match(self.after or self.sheet)
        return threeway.agreed(found.match, self.mapping, known, seen=found.desired.seen, ids=found.ids)

    # What differs, and what the cell is to hold.

    @staticmethod
    def _is_marked(each: Difference) -> bool:
        """Whether a cell holds the mark of a text that is too long for it, and still is."""
        return is_too_long_mark(each.sheet) and excel_length(each.crm) > MOST_CHARACTERS

    def _stand_for_empty(self, wanted: pd.DataFrame, place_of: Mapping[int, int]) -> pd.DataFrame:
        places = [place_of[row] for row in wanted["row"].tolist()]
        found = {}
        for column in self.mapping.columns:
            texts = self.sheet.cells[column.position].iloc[places]
            is_empty = (texts.str.strip() == "").to_numpy(bool)
            if column.empties:
                is_empty = is_empty | np.array([captions.folded(text) in column.empties for text in texts], dtype=bool)
            found[column.key] = is_empty
        return pd.DataFrame(found)

    def _open(self) -> Tab:
        try:
            return bookparts.open_tab(self.path, self.sheet.tab or "")
        except (KeyError, ExpatError) as error:
            raise self._unpatchable(error) from None

    def _outcomes(
        self, takes: Sequence[Difference], tab: Tab, place_of: Mapping[int, int]
    ) -> list[tuple[Difference, Value | str]]:
        unfilled = self.sheet
        if self.options.fill and self.sheet.element_ids is None:
            unfilled = read_sheet(self.path, dataclasses.replace(self.options, fill={}), expect=self.file.headers)
        try:
            return list(Placing(self.sheet, unfilled, self.mapping, self.options, tab, place_of).outcomes(takes))
        except (tabscan.PatchError, ExpatError, LookupError) as error:
            raise self._unpatchable(error) from None

    def _unpatchable(self, error: Exception) -> SheetError:
        return SheetError(
            f"{self.path.name} cannot be patched ({error}); nothing was changed. Save it again in Excel as .xlsx, or "
            f"write a new file: catalogsync export … FILE.xlsx"
        )

    # Writing.

    def _replace(self, tab: Tab, values: Mapping[Place, Value], done: Sequence[Difference]) -> tuple[Path, Path | None]:
        """Write the patched workbook, check it, and put it in the file's place; the names of both files."""
        parts = {tab.part: self._patched(tab, values), **self._values_taken(done)}
        if tab.has_formulas:
            with zipfile.ZipFile(self.path) as archive:
                parts[bookparts.WORKBOOK] = bookparts.calculated_on_load(archive.read(bookparts.WORKBOOK))
        target = self.path.resolve()
        kept: list[Path] = []

        def write(free: Path) -> None:
            try:
                with replacing(free) as temporary:
                    bookparts.rewrite(target, temporary, parts)
                    shutil.copymode(target, temporary)
                    self.after = self._checked(temporary, done)
                    if free == target:
                        kept.append(self._backup(target))
            except UserError:  # the file stays as it is, and needs no copy
                while kept:
                    kept.pop().unlink(missing_ok=True)
                raise

        if not os.access(target, os.W_OK):
            raise UserError(f"{self.path}: may not be written; nothing was changed")
        written = written_beside(target, write)
        names = [file if self.path.is_symlink() else self.path.with_name(file.name) for file in (written, *kept)]
        return (self.path if written == target else names[0]), (names[1] if kept else None)

    def _values_taken(self, done: Sequence[Difference]) -> dict[str, bytes]:
        """The hidden tab of an export with the values that its cells take: an edit is told from them from now on."""
        if self.export.carried is None:
            return {}
        changed = [(each.id, each.column.key, each.crm) for each in done]
        lines = lines_again(self.export.carried, changed, self.mapping.columns)
        return {bookparts.part_of(self.path, VALUES_TAB): bookparts.column_of_text(lines)}

    def _patched(self, tab: Tab, values: Mapping[Place, Value]) -> bytes:
        try:
            return patching.patched(tab.xml, values)
        except (tabscan.PatchError, ExpatError, LookupError) as error:
            raise self._unpatchable(error) from None

    def _checked(self, temporary: Path, done: Sequence[Difference]) -> Sheet:
        """The patched workbook as it is read again. Raises SheetError where it says anything but what it should."""
        after = read_sheet(temporary, self.options, expect=self.file.headers)
        after = dataclasses.replace(after, path=self.path)
        wrong = list(itertools.islice(self._wrong(after, done), 20))
        if wrong:
            raise SheetError(
                f"{self.path.name}: the patched copy reads otherwise than it should; nothing was changed", wrong
            )
        return after

    def _wrong(self, after: Sheet, done: Sequence[Difference]) -> Iterator[Problem]:
        before = self.sheet
        if (before.headers, before.rows.tolist(), before.tab) != (after.headers, after.rows.tolist(), after.tab):
            gone = sorted(set(before.rows.tolist()) ^ set(after.rows.tolist()))[:5]
            told = f"rows {', '.join(map(str, gone))} would count otherwise" if gone else "the headers would be others"
            yield Problem(before.path.name, told)
            return
        wanted = {(each.row, each.column.position) for each in done}
        for position in before.cells.columns:
            changed = np.flatnonzero((before.cells[position].array != after.cells[position].array).astype(bool))
            for place in changed.tolist():
                if (int(before.rows[place]), int(position)) not in wanted:
                    yield Problem(before.address(place, int(position)), "would change, too")
        rows = self.match(after).desired.table
        places = {int(row): place for place, row in enumerate(rows["row"].tolist())}
        place_of = {int(row): place for place, row in enumerate(before.rows.tolist())}
        for each in done:
            at = places.get(each.row)
            said = None if at is None else str(rows[each.column.key].iat[at])
            if said != each.target:
                told = "could not be read" if said is None else f"would be read as {quoted(said)}"
                yield Problem(before.address(place_of[each.row], each.column.position), told)

    def _backup(self, target: Path) -> Path:
        """A copy of the file as it was, under a name that is free. Raises UserError where it is another one by now."""
        moment = datetime.fromtimestamp(self.journal.now_at(), UTC).astimezone()
        stem = f"{target.stem}.backup-{moment:%Y%m%d-%H%M%S}"
        content = target.read_bytes()
        if hashlib.sha256(content).digest() != self.digest:
            raise UserError(f"{self.path}: somebody saved it meanwhile; nothing was changed. Run the command again")
        for number in itertools.count(1):
            copy = target.with_name(f"{stem}{f'-{number}' if number > 1 else ''}{target.suffix}")
            with contextlib.suppress(FileExistsError), copy.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
                break
        shutil.copystat(target, copy)
        return copy

    # Telling.

    def _patched_cell(self, each: Difference, place_of: Mapping[int, int]) -> PatchedCell:
        place, position = place_of[each.row], each.column.position
        assert self.after is not None
        return PatchedCell(
            self.sheet.address(place, position),
            key_text(each.key),
            each.column.header,
            str(self.sheet.cells[position].iat[place]),
            str(self.after.cells[position].iat[place]),
        )

    def _left_cell(self, each: Difference, why: str, place_of: Mapping[int, int]) -> LeftCell:
        place, position = place_of[each.row], each.column.position
        return LeftCell(
            self.sheet.address(place, position),
            key_text(each.key),
            each.column.header,
            why,
            WHY[why],
            str(self.sheet.cells[position].iat[place]),
            fields.show(each.crm, each.column),
        )


def _notes(done: Iterable[Difference], known: Base | None) -> Iterator[str]:
    unknown = sum(not each.is_known and each.column.owner == "both" for each in done) if known is not None else 0
    if unknown:
        yield f"of {unknown} cells no last agreed value is known: they were taken from the catalog"


def _digest(path: Path) -> bytes:
    """The digest of a file's content; none of one that cannot be read, which the reader tells."""
    if path.is_file():  # a pipe would be read up
        with contextlib.suppress(OSError), path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    return b""
