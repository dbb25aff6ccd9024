"""The tables of docs/scale.md, reckoned from the constants that stand in it: `python -m benchmarks.scale` renews them.

Arithmetic only. The constants that are measured come from `python -m benchmarks.constants`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "scale.md"

ELEMENTS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
CHANGES = (100, 1_000, 10_000, 100_000, 1_000_000)
ACCOUNTS = (1, 10, 100, 1_000, 10_000)

Constants = Mapping[str, float]

_CONSTANT = re.compile(r"^\| `(\w+)` \| ([\d.,]+) \|", re.M)
_TABLE = re.compile(r"(?<=<!-- table: )(\w+) -->\n.*?(?=<!-- end -->)", re.S)


def constants_in(text: str) -> dict[str, float]:
    """The constants that a document states, by name."""
    return {name: float(figure.replace(",", "")) for name, figure in _CONSTANT.findall(text)}


# --- how many, how long, how much ----------------------------------------------------------------------------


def reads(elements: int, dialect: str, known: Constants) -> int:
    """The requests of a plan: the pages, and what comes beside them (forecasting.read_floor)."""
    return ceil(elements / known[f"page_rows_{dialect}"]) + int(known["reads_beside"])


def plan_mb(elements: int, known: Constants) -> float:
    """The peak memory of a plan with a base that changes nothing."""
    return known["start_mb"] + elements * known["plan_with_base_bytes_per_row"] / (1 << 20)


def plan_cpu_s(elements: int, known: Constants) -> float:
    """The processor's time of the same."""
    return known["start_cpu_s"] + elements * known["plan_with_base_us_per_row"] / 1e6


def update_requests(changes: int, dialect: str, batch: int) -> int:
    """The requests of updates: write and read-back per batch, in v4 a look before it (costs.batch_cost)."""
    return ceil(changes / batch) * (3 if dialect == "v4" else 2)


def rows_in_a_file(known: Constants) -> dict[str, int]:
    """How many rows of 12 columns one sheet may have, by what binds."""
    columns = known["columns"]
    return {
        "an `.xls` file (Excel's rows)": 65_536 - 1,
        "an `.xlsx` tab (Excel's rows)": 1_048_576 - 1,
        "a text file: 256 MB": int((256 << 20) / known["sheet_bytes_per_row"]),
        "any sheet: 20,000,000 cells": int(20_000_000 / columns),
    }


# --- tables --------------------------------------------------------------------------------------------------


def tables(known: Constants) -> dict[str, str]:
    """Every table of the document by its name, as Markdown."""
    return {
        "reading": _reading(known),
        "writing": _writing(known),
        "disk": _disk(known),
        "sheets": _markdown("what holds the sheet | rows at most", rows_in_a_file(known).items()),
        "accounts": _accounts(known, 1_000),
        "large_accounts": _accounts(known, 10_000),
    }


def _reading(known: Constants) -> str:
    rows = [
        (
            n,
            reads(n, "v2", known),
            duration(reads(n, "v2", known) / known["pace_rps"]),
            reads(n, "v4", known),
            duration(reads(n, "v4", known) / known["pace_rps"]),
            duration(plan_cpu_s(n, known)),
            size(plan_mb(n, known)),
        )
        for n in ELEMENTS
    ]
    return _markdown("elements | requests, v2 | time, v2 | requests, v4 | time, v4 | processor | memory", rows)


def _writing(known: Constants) -> str:
    rows = []
    for n in CHANGES:
        counts = [update_requests(n, dialect, batch) for dialect, batch in (("v2", 250), ("v4", 250), ("v2", 50))]
        times = [duration(count / known["pace_rps"]) for count in counts]
        journal = size(n * known["journal_bytes_per_change"] / (1 << 20))
        memory = size(n * known["change_bytes"] / (1 << 20))
        rows.append((n, counts[0], times[0], counts[1], times[1], times[2], journal, memory))
    return _markdown(
        "updates | requests, v2 | time, v2 | requests, v4 | time, v4 | time, v2, `--batch 50` | journal | memory more",
        rows,
    )


def _disk(known: Constants) -> str:
    names = ("sheet_bytes_per_row", "workbook_bytes_per_row", "base_bytes_per_element")
    rows = [
        (n, *(size(n * known[name] / (1 << 20)) for name in names), duration(n * known["export_us_per_row"] / 1e6))
        for n in ELEMENTS
    ]
    return _markdown("elements | CSV sheet | exported workbook | base | processor of an export", rows)


def _accounts(known: Constants, elements: int) -> str:
    turn_mb = elements * known["plan_with_base_bytes_per_row"] / (1 << 20)
    count = reads(elements, "v2", known)
    cpu_s = known["turn_cpu_s"] + elements * known["plan_with_base_us_per_row"] / 1e6
    turn_s = max(count / known["pace_rps"], cpu_s)
    rows = []
    for n in ACCOUNTS:
        busy = n * cpu_s / 3600
        processes = max(1, ceil(busy / 0.5))
        each = ceil(n / processes)
        at_once = ceil(each * turn_s / 3600)
        lanes_mb = each * known["thread_kb"] / 1024
        base_mb = known["start_mb"] + lanes_mb
        rows.append(
            (
                n,
                n * count,
                f"{busy:.2f}" if busy >= 0.005 else "under 0.01",
                processes,
                each,
                at_once,
                size(base_mb + at_once * turn_mb),
                size(base_mb + each * turn_mb),
            )
        )
    heading = "accounts | requests in an hour | processors | processes | accounts in each | turns at once"
    return _markdown(f"{heading} | memory of each, spread | memory of each, all at once", rows)


def duration(seconds: float) -> str:
    """A duration with two figures: s, min or h."""
    if seconds < 1:
        return "under 1 s"
    for name, unit in (("s", 1), ("min", 60), ("h", 3600)):
        shown = _two_figures(seconds / unit)
        if float(shown) < (120 if unit < 3600 else float("inf")):
            return f"{shown} {name}"
    raise AssertionError


def size(mb: float) -> str:
    """A size in MB with two figures, from 1,024 on in GB."""
    if mb < 1:
        return "under 1 MB"
    return f"{_two_figures(mb)} MB" if mb < 1024 else f"{_two_figures(mb / 1024)} GB"


def _two_figures(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 99.5 else f"{float(f'{figure:.2g}'):g}"


def _markdown(heading: str, rows: object) -> str:
    assert hasattr(rows, "__iter__")
    names = heading.split(" | ")
    lines = [f"| {heading} |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        assert len(cells) == len(names)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def tables_in(text: str) -> dict[str, str]:
    """The tables that a document has now, by name."""
    return {found[1]: found[0].partition("-->\n")[2] for found in _TABLE.finditer(text)}


def renewed(text: str) -> str:
    """A document with its tables reckoned anew from its constants."""
    made = tables(constants_in(text))
    return _TABLE.sub(lambda found: f"{found[1]} -->\n{made[found[1]]}", text)


def main() -> None:
    """Renew the document."""
    DOCUMENT.write_text(renewed(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
