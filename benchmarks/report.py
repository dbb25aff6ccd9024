"""What is told of a run: a table for the terminal and for docs/benchmarks.md, and a picture of the ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from html import escape

from benchmarks.measure import ANY, LEAST, Figure, Results
from benchmarks.parts import needed

_HEADS = ("stage", "rows", "against", "ours s", "peer s", "median", "min–max", "target", "met", "clock")


def lines(figures: Iterable[Figure]) -> list[tuple[str, ...]]:
    """The cells of the table, headings first."""
    return [_HEADS, *(_line(figure) for figure in figures)]


def _line(figure: Figure) -> tuple[str, ...]:
    least, most = min(figure.values), max(figure.values)
    met = {None: "", True: "yes", False: "no"}[figure.is_met]
    return (
        figure.stage,
        f"{figure.rows:,}" if figure.rows else "",
        figure.peer,
        f"{statistics.median(figure.ours_s):.3f}" if figure.ours_s else "",
        f"{statistics.median(figure.peer_s):.3f}" if figure.peer_s else "",
        f"{figure.middle:.2f} {figure.unit}",
        f"{least:.2f}–{most:.2f}" if len(figure.values) > 1 else "",
        f"{figure.bound} {figure.target:g}" if figure.bound != ANY else "",
        met,
        figure.clock,
    )


def text(results: Results) -> str:
    """The tables for a terminal, what misses its target and why, and what was left out."""
    parts = ["", *_columns(parts_lines(results))] if results.parts else []
    told = [f"not met: {line}" for line in missed(results)]
    left_out = [f"left out: {reason}" for reason in results.left_out]
    return "\n".join([*_columns(lines(results.figures)), *parts, *([""] if told else []), *told, *left_out])


def _columns(table: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(line[place]) for line in table) for place in range(len(table[0]))]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in table]


def _rows(table: Sequence[tuple[str, ...]]) -> list[str]:
    head, *rest = table
    return ["| " + " | ".join(line) + " |" for line in (head, tuple("---" for _ in head), *rest)]


def parts_lines(results: Results) -> list[tuple[str, ...]]:
    """The cells of the table of parts, headings first."""
    told = [
        (
            part.stage,
            f"{part.rows:,}" if part.rows else "",
            part.what,
            f"{part.seconds:.3f}",
            f"{part.us_per_row:.2f}" if part.rows else "",
            f"{part.share:.0%}",
        )
        for part in results.parts
    ]
    return [("stage", "rows", "where its time goes", "s", "µs per row", "share"), *told]


def missed(results: Results) -> list[str]:
    """A line for each figure that misses its target: what it is, and what it would take."""
    return [
        f"{figure.stage}{f' {figure.rows:,}' if figure.rows else ''}, {figure.peer}: {_value(figure.judged, figure)}"
        f" for {figure.bound} {figure.target:g}: {needed(figure.stage, figure.peer)}"
        for figure in results.figures
        if figure.is_met is False
    ]


def _value(number: float, figure: Figure) -> str:
    return f"{number:.2f} {figure.unit}".rstrip()


def markdown(results: Results, facts: Sequence[str]) -> str:
    """The page of documentation."""
    left_out = [f"- {reason}" for reason in results.left_out]
    not_met = [f"- {line}" for line in missed(results)]
    parts = _rows(parts_lines(results)) if results.parts else []
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Made by `python -m benchmarks --write`; do not edit. Both sides of a line ran in the same process, in",
            "turns, after their results were found to be equal. “CPU” is the CPU time of the process, “wall” the clock",
            "on the wall. “Faster” is how many times as fast as the peer (more is better); every other ratio is our",
            "time over the peer's (less is better). The peers check nothing of what catalogsync checks.",
            "",
            *(f"- {fact}" for fact in facts),
            "",
            *_rows(lines(results.figures)),
            "",
            *(["## What misses its target, and what it would take", "", *not_met, ""] if not_met else []),
            *(["## Where the time goes", "", *_PARTS_TEXT, "", *parts, ""] if parts else []),
            *(["Left out:", "", *left_out, ""] if left_out else []),
            "![ratios](pictures/benchmarks.svg)",
            "",
        ]
    )


_PARTS_TEXT = (
    "Measured once more with a clock around each part, on its own: the sum of a stage is what that run took. A plan",
    "and a comparison by CPU time, an apply and a plan of 100 rows by the clock on the wall.",
)


def picture(figures: Iterable[Figure]) -> str:
    """The figures that have a target, as bars: each as a share of its target, so that 1 is the line to keep to."""
    shown = [figure for figure in figures if figure.bound != ANY]
    shares = [
        figure.target / figure.judged if figure.bound == LEAST else figure.judged / figure.target for figure in shown
    ]
    scale, top, left, step = 300 / max([1.0, *shares]), 34, 340, 24
    height = top + step * len(shown) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="750" height="{height}" font-family="sans-serif"',
        ' font-size="12">',
        f'<rect width="750" height="{height}" fill="white"/>',
        '<text x="8" y="18" font-weight="bold">Cost as a share of the target: left of the line is within it</text>',
    ]
    for place, (figure, share) in enumerate(zip(shown, shares, strict=True)):
        y = top + step * place
        colour = "#4a8f5c" if figure.is_met else "#c0692f"
        rows = f" {figure.rows:,}" if figure.rows else ""
        parts += [
            f'<text x="8" y="{y + 13}">{escape(f"{figure.stage}{rows}: {figure.peer}")}</text>',
            f'<rect x="{left}" y="{y}" width="{share * scale:.1f}" height="16" fill="{colour}"/>',
            f'<text x="{left + share * scale + 6:.1f}" y="{y + 13}">{figure.judged:.2f} {escape(figure.unit)}</text>',
        ]
    x = left + scale
    parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{height - 6}" stroke="black"/>')
    return "\n".join([*parts, "</svg>", ""])
