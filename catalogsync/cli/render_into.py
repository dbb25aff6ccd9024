"""How it looks to a person, or a script, what a workbook took from its catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from rich.text import Text

from catalogsync.celltext import quoted
from catalogsync.cli import printable
from catalogsync.cli.render import SHOWN_CHANGES, console, print_line, print_problems
from catalogsync.errors import Problem
from catalogsync.intosheet import WHY, Taken

_LONGEST = 80


def print_taken(taken: Taken, path: Path, *, verbose: bool = False) -> None:
    """A line per patched cell, old and new; what was left and why; the counts, and where the copy is."""
    out = console()
    if taken.patched:
        shown = taken.patched if verbose else taken.patched[:SHOWN_CHANGES]
        table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
        for heading in ("Cell", "Key", "Was", "Now"):
            table.add_column(heading, overflow="fold")
        for cell in shown:
            address = cell.address.removeprefix(f"{path.name}!")
            before, after = (Text(printable(_cut(text)), style=s) for text, s in _styled(cell.before, cell.after))
            table.add_row(Text(printable(address)), Text(printable(_cut(cell.key))), before, after)
        out.print(table)
        if len(shown) < len(taken.patched):
            print_line(out, f"… and {len(taken.patched) - len(shown)} more cells (-v shows all)")
    print_problems("Rejected rows, nothing of them is touched:", taken.rejected, verbose=verbose)
    for why, told in WHY.items():
        cells = [cell for cell in taken.left if cell.why == why]
        problems = [
            Problem(f"{cell.address} {_cut(cell.key)}", f"says {_quoted(cell.sheet)}, the catalog {_quoted(cell.crm)}")
            for cell in cells
        ]
        print_problems(f"Left, {told}:", problems, verbose=verbose)
    for note in taken.notes:
        print_line(out, f"Note: {note}")
    if taken.is_calculated_again:
        print_line(out, "Note: the workbook has formulas; Excel calculates them again when it opens it")
    print_line(out, summary(taken, path))


def summary(taken: Taken, path: Path) -> str:
    """The counts, and which files were written."""
    counts = f"{_count(taken.matched_count, 'row')} matched"
    tail = [f"{_count(len(taken.left), 'cell')} left"] if taken.left else []
    if taken.rejected_rows:
        tail.append(f"{_count(taken.rejected_rows, 'row')} rejected")
    tail.append(f"{_count(taken.rows_without_element, 'row')} without an element")
    tail.append(f"{_count(taken.elements_without_row, 'element')} without a row")
    if taken.path is None:
        return f"Nothing to take into {path}: {counts}, {', '.join(tail)}. The file is as it was."
    words = f"Patched {_count(len(taken.patched), 'cell')} of {taken.path}: {counts}, {', '.join(tail)}."
    return f"{words} The file as it was: {taken.backup}" if taken.backup else words


def taken_json(taken: Taken, path: Path) -> dict[str, object]:
    """What was taken as JSON values."""
    return {
        "file": str(path),
        "written": str(taken.path) if taken.path else None,
        "backup": str(taken.backup) if taken.backup else None,
        "patched": [
            {"address": c.address, "key": c.key, "column": c.header, "before": c.before, "after": c.after}
            for c in taken.patched
        ],
        "left": [
            {
                "address": c.address,
                "key": c.key,
                "column": c.header,
                "why": c.why,
                "told": c.told,
                "sheet": c.sheet,
                "catalog": c.crm,
            }
            for c in taken.left
        ],
        "counts": {
            "patched": len(taken.patched),
            "left": dict(Counter(cell.why for cell in taken.left)),
            "matched_rows": taken.matched_count,
            "rejected_rows": taken.rejected_rows,
            "rows_without_element": taken.rows_without_element,
            "elements_without_row": taken.elements_without_row,
        },
        "rejected": [{"where": p.where, "what": p.what, "hint": p.hint} for p in taken.rejected],
        "notes": list(taken.notes),
        "calculated_again": taken.is_calculated_again,
    }


def exit_codes(taken: Taken) -> Iterator[int]:
    """Every exit code that what was left undone asks for."""
    if any(cell.why == "conflict" for cell in taken.left):
        yield 5
    if taken.rejected_rows:
        yield 3


def _styled(before: str, after: str) -> Iterator[tuple[str, str]]:
    yield before, "red"
    yield after or "(emptied)", "green"


def _quoted(text: str) -> str:
    return quoted(text) if text else "nothing"


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
