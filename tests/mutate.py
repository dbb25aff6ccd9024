"""Damages real sheets and mappings byte by byte, reads each in a cage, and counts what came of it.

``python -m tests.mutate [--count 2000] [--seed S] [--only N]`` takes the sheets of the neighbouring folder where it is
there, and always those that it makes itself (CSV, XLSX, ODS, XLS) and every mapping of the repository. Each mutation
is known by its number: the same seed and number give the same bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.cage import Cage, Task, Verdict

ROOT = Path(__file__).resolve().parents[1]
OUTCOMES = ("read", "refused", "empty", "traceback", "crash", "hang", "memory")
_MAPPING_SHARE = 0.15


@dataclass(frozen=True)
class Subject:
    """A file to damage, and how to read it."""

    path: Path
    task: Task

    @property
    def kind(self) -> str:
        """What the table counts it under."""
        return "mapping" if not self.task.sheet else self.path.suffix.removeprefix(".")


@dataclass(frozen=True)
class Outcome:
    """What came of one mutation."""

    number: int
    subject: Subject
    damage: str
    verdict: Verdict


# --- what is damaged -----------------------------------------------------------------------------------------


def subjects(folder: Path) -> list[Subject]:
    """Every sheet and mapping there is. `folder` takes the sheets that are made here."""
    from tests.e2e.conftest import MAPPINGS, SHEETS
    from tests.e2e.test_real_sheets import cases

    found = [_sheet(path) for path in _made_sheets(folder)]
    found.append(_sheet(ROOT / "samples" / "stationery.csv"))
    if SHEETS.is_dir():
        whole = [path for path in sorted(SHEETS.iterdir()) if path.suffix in {".csv", ".xlsx", ".xls", ".ods"}]
        mapped = {case.sheet: case for case in cases().values()}
        for path in whole:
            case = mapped.get(path.name)
            if case:
                found.append(_sheet(path, mapping=str(MAPPINGS / case.mapping), fields=list(case.fields)))
            else:
                found.append(_sheet(path))
    mappings = [*sorted((ROOT / "mappings").glob("*.yaml")), *sorted(MAPPINGS.glob("*.yaml"))]
    return [*found, *(Subject(path, Task(mapping=str(path), fields=_fields_of(path))) for path in mappings)]


def _fields_of(path: Path) -> list[Mapping[str, Any]]:
    """Fields that a mapping fits, so that what is damaged in it is what is refused."""
    from catalogsync.mappingfile import load_mapping

    fields: dict[str, Mapping[str, Any]] = {}
    for spec in load_mapping(path).columns.values():
        if spec.field == "name":
            continue
        options = list(dict.fromkeys(spec.enums.values()))
        if spec.subtype:
            type_ = "smart_address"
        elif options or spec.unknown != "error":
            type_ = "select"
        elif spec.multi != "replace" or spec.split != ";":
            type_ = "multiselect"
        elif spec.decimal or spec.currency or spec.moves:
            type_ = "numeric"
        else:
            type_ = "date" if spec.format else "text"
        given = {"id": int(spec.field)} if spec.field.isdecimal() else {}
        fields[spec.field] = {"name": spec.field, "type": type_, "enums": options, **given}
    return list(fields.values())


def _sheet(path: Path, *, mapping: str = "", fields: Sequence[Mapping[str, Any]] = ()) -> Subject:
    return Subject(path, Task(str(path), mapping, "" if mapping else _largest_tab(path), fields))


def _largest_tab(path: Path) -> str:
    """The tab with the most rows, where a person would have to say which; "" for any other file."""
    from catalogsync.errors import SheetError
    from catalogsync.reader import ReadOptions, read_sheet

    try:
        read_sheet(path)
    except SheetError as error:
        tabs = [problem.where.partition("!")[2] for problem in error.problems if problem.what == "tab"]
        rows: dict[str, int] = {}
        for tab in tabs:
            with contextlib.suppress(SheetError):  # a tab of headers only
                rows[tab] = len(read_sheet(path, ReadOptions(tab=tab)).cells)
        return max(rows, key=lambda tab: rows[tab], default="")
    return ""


def _made_sheets(folder: Path) -> list[Path]:
    import xlsxwriter

    from tests.reader_files import zip_ods
    from tests.test_reader_workbook import label, ods_row, ods_text, record, write_xls, xls_stream

    rows = [["Code", "Name", "Price"]]
    rows += [[f"{number:05d}", f"Товар {number}", f"{number}.50"] for number in range(1, 80)]
    (folder / "made.csv").write_text("\n".join(";".join(row) for row in rows), encoding="utf-8")
    quoted = [",".join(f'"{cell}"' for cell in row) for row in rows]
    (folder / "made_cp1251.csv").write_text("\r\n".join(quoted), encoding="cp1251")
    with xlsxwriter.Workbook(folder / "made.xlsx") as book:
        tab = book.add_worksheet("Prices")
        for number, row in enumerate(rows):
            tab.write_row(number, 0, row)
            tab.write_formula(number, 3, f"=C{number + 1}*2", None, number)
    zip_ods(folder / "made.ods", "".join(ods_row(*map(ods_text, row)) for row in rows))
    cells = b"".join(label(row, column, text) for row, texts in enumerate(rows) for column, text in enumerate(texts))
    write_xls(folder / "made.xls", xls_stream({"Prices": cells + record(0x0201, bytes(6))}))
    return sorted(folder.glob("made*"))


# --- how -----------------------------------------------------------------------------------------------------


def damaged(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """The content with one kind of damage, and what it is called."""
    if content.startswith(b"PK") and chance.random() < 0.7:
        return _inside_archive(content, chance)
    name = chance.choice(list(DAMAGES))
    return name, DAMAGES[name](content, chance)


def _inside_archive(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Damage to one part of a zip archive, packed again so that the damage is really reached."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    part = chance.choice([name for name, held in parts.items() if held and name.endswith((".xml", ".rels"))])
    name = chance.choice(list(DAMAGES))
    parts[part] = DAMAGES[name](parts[part], chance)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for filename, held in parts.items():
            archive.writestr(filename, held)
    return f"{name} in {part}", packed.getvalue()


def _span(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + int(2 ** chance.uniform(0, 13)))


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _overwrite(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 2, 8])):
        if changed:
            changed[chance.randrange(len(changed))] = chance.choice(b'\x00\xff"<>&;,\n\r\t09-=\x80{[*')
    return bytes(changed)


def _delete(content: bytes, chance: random.Random) -> bytes:
    start, end = _span(content, chance)
    return content[:start] + content[end:]


def _insert(content: bytes, chance: random.Random) -> bytes:
    start, end = _span(content, chance)
    return content[:start] + chance.randbytes(min(64, end - start)) + content[start:]


def _zero(content: bytes, chance: random.Random) -> bytes:
    start, end = _span(content, chance)
    return content[:start] + bytes(end - start) + content[end:]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _behead(content: bytes, chance: random.Random) -> bytes:
    return content[chance.randrange(len(content) + 1) :]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start, end = _span(content, chance)
    return content[:end] + content[start:end] * chance.choice([1, 2, 50]) + content[end:]


def _swap(content: bytes, chance: random.Random) -> bytes:
    first, last = sorted([_span(content, chance), _span(content, chance)])
    if first[1] > last[0]:
        return content
    left, right = content[slice(*first)], content[slice(*last)]
    return content[: first[0]] + right + content[first[1] : last[0]] + left + content[last[1] :]


def _digits(content: bytes, chance: random.Random) -> bytes:
    """A number in it becomes another, sometimes an absurd one."""
    places = [place for place in range(len(content)) if 48 <= content[place] <= 57] if len(content) < 1 << 20 else []
    if not places:
        return _flip(content, chance)
    place = chance.choice(places)
    return (
        content[:place] + chance.choice([b"0", b"9", b"-1", b"99999999", b"4294967296", b"1e9"]) + content[place + 1 :]
    )


DAMAGES: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "bits flipped": _flip,
    "bytes overwritten": _overwrite,
    "bytes deleted": _delete,
    "bytes inserted": _insert,
    "bytes zeroed": _zero,
    "end cut off": _cut,
    "start cut off": _behead,
    "bytes repeated": _repeat,
    "blocks swapped": _swap,
    "number changed": _digits,
}


# --- running -------------------------------------------------------------------------------------------------


def mutation(number: int, seed: int, among: Sequence[Subject]) -> tuple[Subject, str, bytes]:
    """The mutation of that number: what is damaged, how, and the bytes."""
    chance = random.Random(f"{seed}:{number}")
    sheets = [subject for subject in among if subject.task.sheet]
    mappings = [subject for subject in among if not subject.task.sheet]
    subject = chance.choice(mappings if chance.random() < _MAPPING_SHARE else sheets)
    damage, content = damaged(subject.path.read_bytes(), chance)
    return subject, damage, content


def run(numbers: Sequence[int], seed: int, folder: Path, among: Sequence[Subject]) -> Iterator[Outcome]:
    """Mutations one after another, as each is judged."""
    with Cage() as cage:
        for number in numbers:
            subject, damage, content = mutation(number, seed, among)
            path = folder / f"mutated{subject.path.suffix}"
            path.write_bytes(content)
            if subject.task.sheet:
                task = replace(subject.task, sheet=str(path))
            else:
                task = replace(subject.task, mapping=str(path))
            yield Outcome(number, subject, damage, cage(task))


def table(outcomes: Sequence[Outcome]) -> str:
    """How often what came of it, by kind of file."""
    counts = Counter((outcome.subject.kind, outcome.verdict.outcome) for outcome in outcomes)
    kinds = sorted({kind for kind, _outcome in counts})
    lines = [f"{'':10}" + "".join(f"{outcome:>10}" for outcome in OUTCOMES)]
    lines += [f"{kind:10}" + "".join(f"{counts[kind, outcome]:>10}" for outcome in OUTCOMES) for kind in kinds]
    slowest = max(outcomes, key=lambda outcome: outcome.verdict.seconds)
    largest = max(outcomes, key=lambda outcome: outcome.verdict.peak_mb)
    wrong = [outcome for outcome in outcomes if not outcome.verdict.is_right]
    lines.append(
        f"{len(outcomes)} mutations, {len(wrong)} wrong; the slowest took {slowest.verdict.seconds:.1f} s "
        f"(number {slowest.number}), the largest {largest.verdict.peak_mb} MB (number {largest.number})"
    )
    lines += [
        f"number {outcome.number}: {outcome.subject.path.name}, {outcome.damage}: {outcome.verdict.outcome}"
        f" {outcome.verdict.message}"
        for outcome in wrong
    ]
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Damage sheets and mappings, and see that each is read or refused.")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one mutation; its file is kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        among = subjects(folder)
        if given.only is not None:
            subject, damage, content = mutation(given.only, given.seed, among)
            kept = Path.cwd() / f"mutated-{given.only}{subject.path.suffix}"
            kept.write_bytes(content)
            print(f"{subject.path.name}, {damage}: {kept}")
        numbers = range(given.count) if given.only is None else [given.only]
        outcomes: list[Outcome] = []
        for outcome in run(numbers, given.seed, folder, among):
            outcomes.append(outcome)
            if not outcome.verdict.is_right:
                print(f"number {outcome.number}: {outcome.verdict.outcome}", file=sys.stderr, flush=True)
        print(table(outcomes))
    return 0 if all(outcome.verdict.is_right for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
