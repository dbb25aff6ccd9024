"""A mapping proposed from a sheet, a catalog's fields and its elements: lines with scores and reasons, key, settings.

Pure. What is proposed as sure stands above the confidence mark (matching.py); everything else is a suggestion.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import fields, model
from catalogsync.celltext import quoted
from catalogsync.proposing import words
from catalogsync.proposing.evidence import Evidence, Reading, columns_of, is_empty_word
from catalogsync.proposing.matching import Match, Scoring, choose
from catalogsync.proposing.newfields import field_type
from catalogsync.proposing.targets import Target, targets_of
from catalogsync.reader import Sheet

CREATE_BELOW = 0.65
"""A column whose nearest field scores less has none: a field of its own is proposed."""


@dataclass(frozen=True)
class Line:
    """One column of the sheet. `target` is None where nothing fits; `settings` are the mapping's keys beside `field`.

    `asks` are things that only a person can decide, each with its setting; `reason` says why the line is as it is.
    """

    position: int
    header: str
    address: str
    target: Target | None
    score: float
    is_sure: bool
    reason: str
    samples: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    asks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """A mapping as proposed. `key` is the address of the key's line, "" where no line can be a key.

    `lacking` are the fields that the sheet needs and the catalog lacks, each called as its column; `needs` the columns
    without which a row is a title or a section. `notes` are about the mapping as a whole.
    """

    catalog_id: int
    catalog_name: str
    key: str
    key_notes: tuple[str, ...]
    lines: tuple[Line, ...]
    lacking: tuple[model.NewField, ...]
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """The share of the sheet's filled columns with a line above the mark."""
        return len(self.sure) / len(self.lines) if self.lines else 0.0

    @property
    def sure(self) -> tuple[Line, ...]:
        """The lines above the mark."""
        return tuple(line for line in self.lines if line.is_sure)


def propose(sheet: Sheet, schema: model.Schema, elements: pd.DataFrame) -> Proposal:
    """A mapping for a sheet. `elements` has canonical text by column key (`Client.elements` with all columns)."""
    columns = columns_of(sheet, schema.timezone)
    targets = targets_of(schema)
    scoring = Scoring(columns, targets, elements)
    matches = choose(scoring.pairs())
    by_key = {target.key: target for target in targets}
    lines = [_line(column, matches.get(column.position), columns, by_key, scoring) for column in columns]
    shown = [line for line, column in zip(lines, columns, strict=True) if column.filled or line.is_sure]
    key, key_notes = _key(shown, columns, scoring)
    needs, notes = _needs(shown, columns, key)
    return Proposal(
        catalog_id=schema.catalog_id,
        catalog_name=schema.catalog_name,
        key=key,
        key_notes=tuple(key_notes),
        lines=tuple(shown),
        lacking=tuple(_lacking(shown, columns)),
        needs=needs,
        notes=(*notes, *_nameless(shown)),
    )


def _nameless(lines: Sequence[Line]) -> Iterator[str]:
    if not any(line.is_sure and line.target is not None and line.target.field is None for line in lines):
        yield "no column surely holds the names: without one, only products that the catalog has are updated"


# --- lines ---------------------------------------------------------------------------------------------------


def _line(
    column: Evidence,
    match: Match | None,
    columns: Sequence[Evidence],
    targets: Mapping[str, Target],
    scoring: Scoring,
) -> Line:
    if match is None:
        why = "nothing in the catalog is like it" if column.filled else "empty, and no field is like it"
        return Line(column.position, column.header, column.address, None, 0.0, False, why, column.samples)
    target = targets[match.pair.target]
    reading = scoring.reading(column.position, target.key)
    reason = "; ".join(match.pair.reasons) or "nothing speaks for it but its type"
    if match.rival:
        side, _, other = match.rival.partition(":")
        told = columns[int(other)].address if side == "column" else targets[other].title
        reason += f"; but “{told}” would do as well"
    settings, asks = _settings(column, target, reading, scoring)
    return Line(
        column.position,
        column.header,
        column.address,
        target,
        round(match.pair.score, 2),
        match.is_sure,
        reason,
        column.samples,
        settings,
        tuple(asks),
    )


def _settings(column: Evidence, target: Target, reading: Reading, scoring: Scoring) -> tuple[dict[str, Any], list[str]]:
    """The settings that the values need, and what only a person can decide."""
    settings: dict[str, Any] = {"subtype": target.subtype} if target.subtype else {}
    settings |= reading.settings
    asks = [reading.ask] if reading.ask else []
    if reading.empty:
        settings["empty"] = list(reading.empty)
    unread = list(reading.unread)
    kind = target.field.type if target.field else "text"
    if kind in fields.OPTION_TYPES and unread:
        learned = {label: same for label in unread[:100] if (same := _same_company(label, target))}
        learned |= _learned_labels(column, target, unread, scoring)
        if learned:
            settings["enums"] = learned
            unread = [label for label in unread if label not in learned]
        near = {label: caption for label in unread[:50] if (caption := _near_caption(label, target))}
        if near:
            told = ", ".join(f"{label}: {caption}" for label, caption in list({**learned, **near}.items())[:12])
            asks.append(f"or with `enums: {{{told}}}`?")
    if unread:
        shown = ", ".join(quoted(text, 30) for text in unread[:3])
        more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
        hint = "rows with these are rejected"
        if kind in fields.OPTION_TYPES:
            hint += "; `unknown: skip` passes over them"
            hint += ", `unknown: add` makes options of them" if kind != "category" else ""
        elif not any(char.isdigit() for text in unread[:3] for char in text):
            hint += "; `empty:` takes them as empty cells"
        asks.append(f"not read as {kind}: {shown}{more}: {hint}")
    if column.merged_rows:
        settings["fill"] = "merged"
    elif _is_filled_down(column):
        asks.append("`fill: down`, if a blank cell means the value above it?")
    return settings, asks


def _learned_labels(column: Evidence, target: Target, labels: Sequence[str], scoring: Scoring) -> dict[str, str]:
    """What the catalog calls a label of the sheet, where two products or more agree on it and none contradicts."""
    joined, held = scoring.joined, scoring.held(target.key)
    if joined is None or held is None or target.field is None:
        return {}
    mine = column.cells.str.strip().iloc[joined.rows].to_numpy(dtype=object)
    yours = held.iloc[joined.elements].to_numpy(dtype=object)
    plain = model.Column("", target.field)
    learned: dict[str, str] = {}
    for label in labels[:100]:
        options = Counter(yours[(mine == label) & (yours != "")])
        if len(options) == 1:
            [(option, times)] = options.items()
            if times >= 2 and option.isdecimal() and int(option) in target.field.enums:
                learned[label] = fields.show_exactly(option, plain)
    return learned


_COMPANY_FORMS = frozenset(
    "ltd co inc llc llp plc corp company gmbh ag kg ug sa srl sarl sas spa bv nv ab oy as aps sia oü uab sp zoo z o o"
    " lda ltda eirl ооо зао оао пао ао ип тоо тов чп фоп пп".split()
)


def _same_company(label: str, target: Target) -> str:
    """The one caption that is the label but for the form of a company: "Brevis" is "Brevis & Co"."""

    def bare(text: str) -> set[str]:
        return set(re.findall(r"\w+", text.casefold())) - _COMPANY_FORMS

    mine = bare(label)
    enums = target.field.enums if target.field else {}
    captions = [html.unescape(caption) for caption in enums.values()]
    same = [caption for caption in captions if mine and bare(caption) == mine]
    return same[0] if len(same) == 1 else ""


def _near_caption(label: str, target: Target) -> str:
    """The one caption that holds all of the label's words, or none but the label's."""
    mine = set(words.plain_words(label))
    enums = target.field.enums if target.field else {}
    near = []
    for caption in map(html.unescape, enums.values()):
        yours = set(words.plain_words(caption))
        if mine and yours and (mine <= yours or yours <= mine):
            near.append(caption)
    return near[0] if len(near) == 1 else ""


_FILLED_DOWN = frozenset({"name", "category", "type", "supplier", "model", "series"})


def _is_filled_down(column: Evidence) -> bool:
    """Whether a column that groups rows is filled in the first row of each group only."""
    is_filled = (column.cells.str.strip() != "").to_numpy(bool)
    share = is_filled.mean() if len(is_filled) else 1.0
    return 0.02 <= share <= 0.6 and bool(words.meaning(column.header).kinds & _FILLED_DOWN)


# --- the key -------------------------------------------------------------------------------------------------

_KEY_KINDS: Mapping[str, float] = {"code": 1.0, "id": 0.9, "barcode": 0.85, "name": 0.4}
_NO_KEYS = frozenset({"multiselect", "items", "checkbox", "select", "radiobutton", "category", "date", "date_time"})


def _key(lines: Sequence[Line], columns: Sequence[Evidence], scoring: Scoring) -> tuple[str, list[str]]:
    """The line whose column identifies products best, and what to say about it."""
    ranked = sorted(
        ((_key_score(line, columns[line.position], scoring), line) for line in lines),
        key=lambda each: (-each[0], each[1].position),
    )
    possible = [(score, line) for score, line in ranked if line.is_sure and score > 0.05]
    if not possible:
        return "", ["no line above the mark can identify a product: mend a line, then set `key:`"]
    best = possible[0][1]
    notes = [_key_facts(columns[best.position], scoring, best)]
    others = [line.address for score, line in possible[1:4] if score >= 0.3]
    if others:
        notes.append(f"or: {', '.join(others)}")
    better = [line for score, line in ranked if score > 1.2 * possible[0][0] and not line.is_sure and score > 0.5]
    if better:
        notes.append(f"{better[0].address} would identify products better, but has no sure line")
    return best.address, notes


def _key_score(line: Line, column: Evidence, scoring: Scoring) -> float:
    kind = line.target.field.type if line.target and line.target.field else "text"
    if kind in _NO_KEYS or not column.filled or (line.target is not None and not line.target.is_known):
        return 0.0
    kinds = words.meaning(column.header).kinds
    is_name = line.target is not None and line.target.field is None
    rank = max((_KEY_KINDS.get(word, 0.0) for word in kinds), default=0.0)
    if line.target is not None and line.target.field is not None:
        rank = max(rank, 0.95 * _KEY_KINDS.get(words.meaning(line.target.field.name).kind, 0.0))
        rank = max(rank, 0.95 if line.target.field.code in {"SKU", "EXTERNAL_ID"} else 0.0)
    if kind in fields.NUMBER_TYPES and rank < 0.8:
        return 0.0
    rank = 0.4 if is_name else max(rank, 0.5 * column.code_share if not kinds else 0.25 * column.code_share)
    values = [str(text) for text in column.texts.index if not is_empty_word(str(text))]
    counted = int(column.texts.loc[values].sum()) if values else 0
    distinct = len(values) / counted if counted else 0.0
    filled = counted / len(column.cells)
    rank *= 1.0 if distinct >= 0.99 else 0.8 if distinct >= 0.9 else 0.3 if distinct >= 0.6 else 0.02
    rank *= 1.0 if filled >= 0.98 else 0.8 if filled >= 0.9 else 0.5 if filled >= 0.4 else 0.05
    return rank + (0.6 * _matched_share(line, column, scoring) if line.target else 0.0)


def _matched_share(line: Line, column: Evidence, scoring: Scoring) -> float:
    """The share of values that exactly one element holds, of the shorter side."""
    held = scoring.held(line.target.key) if line.target else None
    if held is None or line.target is None:
        return 0.0
    yours = held[(held != "") & ~held.duplicated(keep=False)]
    mine = scoring.reading(column.position, line.target.key).values
    mine = mine[mine != ""].drop_duplicates()
    return float(mine.isin(set(yours)).sum() / min(len(mine), len(yours))) if len(mine) and len(yours) else 0.0


def _key_facts(column: Evidence, scoring: Scoring, line: Line) -> str:
    counted = {str(text): int(count) for text, count in column.texts.items() if not is_empty_word(str(text))}
    repeated = [text for text, count in counted.items() if count > 1]
    blank = len(column.cells) - sum(counted.values()) - column.merged_rows
    facts = [f"{len(counted)} different values in {len(column.cells)} rows"]
    if blank:
        facts.append(f"{blank} rows have none and are rejected")
    if repeated:
        facts.append(f"{len(repeated)} stand in several rows, such as {quoted(repeated[0], 20)}: those are rejected")
    matched = _matched_share(line, column, scoring)
    if matched:
        facts.append(f"{matched:.0%} of the shorter side are found on the other")
    return "; ".join(facts)


# --- rows that are no products -------------------------------------------------------------------------------


def _needs(lines: Sequence[Line], columns: Sequence[Evidence], key: str) -> tuple[tuple[str, ...], list[str]]:
    """The column without which a row is a title: mostly a price. Only where those rows evidently are no products."""
    key_column = next((columns[line.position] for line in lines if line.address == key), None)
    filled = np.array([(column.cells.str.strip() != "").to_numpy(bool) for column in columns])
    for line in lines:
        column = columns[line.position]
        is_price = "price" in words.meaning(column.header).kinds and not words.meaning(column.header).marks & {
            "sale",
            "old",
        }
        if not is_price or column.filled < 0.4 * len(column.cells):
            continue
        without = ~filled[column.position]
        count = int(without.sum())
        if not count:
            return (), []
        odd = _oddness(filled, without, key_column)
        if count >= 2 and odd >= 0.8:
            return (line.address,), []
        told = f"{count} rows have no {quoted(line.address, 40)}: if those are titles or totals"
        return (), [f"{told}, `read: {{needs: …}}` leaves them out"]
    return (), []


def _oddness(filled: NDArray[np.bool_], without: NDArray[np.bool_], key: Evidence | None) -> float:
    """The share of the rows without a price that look unlike the others: half empty, or words where codes should be."""
    usual = float(np.median(filled[:, ~without].sum(axis=0)))
    thin = filled[:, without].sum(axis=0) <= usual / 2
    if key is None:
        return float(thin.mean())
    code = re.compile(r"(?=.*\d)\S+")
    is_code = np.array([bool(code.fullmatch(text)) for text in key.cells.str.strip()])
    if is_code[~without].mean() >= 0.95:
        thin |= ~is_code[without]
    return float(thin.mean())


# --- fields that the catalog lacks ---------------------------------------------------------------------------


def _lacking(lines: Sequence[Line], columns: Sequence[Evidence]) -> Iterator[model.NewField]:
    """A field for each column that has a header of its own, or codes without one, and is like no field."""
    has_name = any(line.is_sure and line.target is not None and line.target.field is None for line in lines)
    for line in lines:
        column = columns[line.position]
        meaning = words.meaning(column.header)
        name = column.header if column.address == column.header else f"Column {column.letter}"
        if column.address != column.header and (column.header or not column.holds_codes):
            continue
        if line.is_sure or line.score >= CREATE_BELOW or not column.filled:
            continue
        if not has_name and line.target is not None and line.target.field is None and line.score >= 0.5:
            continue
        type_, options = field_type(column, meaning.kinds) if column.header else ("text", ())
        if type_:
            yield model.NewField(name, type_, options)
