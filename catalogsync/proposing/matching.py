"""Which column of a sheet fills which field of a catalog: scores from what both say, and a choice one to one.

A score is the chance, 0 to 1, that a pair belongs together, put together from independent evidence: the header's words
against the field's name and code, whether the cells read as the field's type, and the values: those that column and
field have in common, or, where rows and elements can be told to be the same product, how often they agree there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import fields
from catalogsync.proposing import words
from catalogsync.proposing.evidence import Evidence, Reading, is_empty_word
from catalogsync.proposing.targets import Target

MARK = 0.75
"""The confidence mark: lines below it are unsure."""

MARGIN = 0.1
"""A pair is sure only where no other pair of its column or its field comes this near."""

NAMED = 0.97
"""A header that is the field's name, but for case and signs."""

MOST_JOINED = 2000
"""So many products that both sides have are compared."""

LEAST_JOINED = 3
_TRIED = 300
_SUBTYPE_KINDS: Mapping[str, str] = {"city": "city", "country": "country", "zip": "zip", "address_line_1": "address"}


@dataclass(frozen=True)
class Pair:
    """A column and what it may fill. `named` is how alike the names are, `score` all evidence together."""

    column: int
    target: str
    score: float
    named: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """A pair that was chosen for its column; `rival` says what else comes too near, "" where nothing does."""

    pair: Pair
    rival: str = ""

    @property
    def is_sure(self) -> bool:
        """Whether it stands above the mark, alone."""
        return self.pair.score >= MARK and not self.rival


# --- scores --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Joined:
    """Rows and elements that are the same product, by their places; `by` is the pair that tells it."""

    rows: NDArray[np.intp]
    elements: NDArray[np.intp]
    by: tuple[int, str]


class Scoring:
    """The evidence for every pair of a sheet's columns and a catalog's targets.

    `elements` has canonical text by column key, one row per element.
    """

    def __init__(self, columns: Sequence[Evidence], targets: Sequence[Target], elements: pd.DataFrame) -> None:
        self._columns = {column.position: column for column in columns}
        self._targets = {target.key: target for target in targets}
        table = elements.reset_index(drop=True)
        self._held: dict[str, pd.Series] = {key: table[key] for key in self._targets if key in table.columns}
        self._kinds = Counter(words.meaning(column.header).kind for column in columns if column.filled)
        self._target_kinds = Counter(_kind_of(target) for target in targets)
        self._vocabulary = {"": 0}
        self._numbers: dict[int, tuple[pd.Series, NDArray[np.int64]]] = {}
        self._words: dict[str, set[str]] = {}
        self._nameless = self._likely_names()
        self._codeless = self._likely_codes()
        self.joined: Joined | None = None

    def pairs(self) -> list[Pair]:
        """Every pair, those without any evidence left out."""
        first = [self._by_words(c, t) for c in self._columns.values() for t in self._targets.values()]
        self.joined = self._joined(first)
        found = [self._with_values(pair, self.joined) for pair in first]
        return [self._capped(pair) for pair in found if pair.score > 0]

    def held(self, key: str) -> pd.Series | None:
        """What the catalog's elements hold in a target, None where that was not read."""
        return self._held.get(key)

    def reading(self, position: int, key: str) -> Reading:
        """How a column reads as a target, knowing what the catalog holds there."""
        column, target = self._columns[position], self._targets[key]
        known = set(column.empty_words) & self._held_words(key) if column.empty_words else set()
        return column.read_as(target.field, target.subtype, frozenset(known))

    def _held_words(self, key: str) -> set[str]:
        """The texts in the catalog that look like empty words, and are values there."""
        if key not in self._words:
            held = self._held[key].unique() if key in self._held else ()
            self._words[key] = {str(text) for text in held if is_empty_word(str(text))}
        return self._words[key]

    def _by_words(self, column: Evidence, target: Target) -> Pair:
        named, why = self._named(column, target)
        fit, told = self._fit(column, target, named) if named or self._held else (1.0, "")
        return Pair(column.position, target.key, named * fit, named, tuple(part for part in (why, told) if part))

    def _named(self, column: Evidence, target: Target) -> tuple[float, str]:
        """How alike a header and the target's names are."""
        titles = [*target.titles, *([target.field.code] if target.field and not target.subtype else [])]
        headers = dict.fromkeys([column.header, column.address])
        if f"{target.titles[0]} ({target.key})" in headers:  # an export's, where it has two columns of that title
            return 1.0, "the same name"
        found = [words.likeness(header, title) for header in headers for title in titles if header and title]
        mine = words.meaning(column.header)
        is_one_of_a_kind = bool(mine.kind) and self._kinds[mine.kind] == 1 == self._target_kinds[mine.kind]
        if is_one_of_a_kind and mine.kind == _kind_of(target):
            found = [
                (score + 0.08, f"{why}, the only one on either side")
                if 0.69 <= score < words.SAME_MEANING
                else (score, why)
                for score, why in found
            ]
        if _SUBTYPE_KINDS.get(target.subtype, "-") in mine.kinds:
            found.append((0.78, f"the header means the address's {target.subtype}"))
        if target.field is not None and column.looks and not mine.kinds:
            is_link = column.looks in {"url", "image"} and target.field.type == "url"
            if is_link or column.looks == _kind_of(target):
                found.append((0.7 if column.header else 0.78, f"the cells are {_LOOKS[column.looks]}"))
        if target.field is None and column.position in self._nameless:
            found.append(self._nameless[column.position])
        if _kind_of(target) == "code" and column.position in self._codeless:
            found.append(self._codeless[column.position])
        if _kind_of(target) == "description" and self._nameless.get(column.position, (0.0,))[0] >= MARK:
            found = [(score * 0.85, f"{why}, but the sheet has no other names") for score, why in found]
        return max(found, key=lambda each: each[0], default=(0.0, ""))

    def _likely_names(self) -> dict[int, tuple[float, str]]:
        """Where no header says "name": the columns that hold names, sure where there is one only."""
        if self._kinds["name"]:
            return {}
        vague = [
            column.position
            for column in self._columns.values()
            if column.name_share >= 0.7 and words.meaning(column.header).kinds <= {"description", "model"}
        ]
        called = [place for place in vague if "description" in words.meaning(self._columns[place].header).kinds]
        if len(called) == 1 or len(vague) == 1:
            told = "no column is called a name; this one holds names, each product its own"
            return {(called or vague)[0]: (0.88 if called else 0.78, told)}
        return dict.fromkeys(vague, (0.6, "no column is called a name; this one may hold them"))

    def _likely_codes(self) -> dict[int, tuple[float, str]]:
        """Where no header says "code": the one column without a meaning of its own that holds different codes."""
        if any(
            column.filled and words.meaning(column.header).kinds & {"code", "id"} for column in self._columns.values()
        ):
            return {}
        likely = [
            column.position
            for column in self._columns.values()
            if column.holds_codes and not column.looks and not words.meaning(column.header).kinds
        ]
        return {likely[0]: (0.78, "no column is called a code; this one holds codes")} if len(likely) == 1 else {}

    def _fit(self, column: Evidence, target: Target, named: float) -> tuple[float, str]:
        """A factor for how well the cells read as the target's type, and a word on it."""
        kind = target.field.type if target.field else "name"
        if not column.filled:
            return (1.0, "no values") if named >= NAMED else (0.85, "no values")
        if kind == "name":
            if column.name_share >= 0.6 or named >= 1:
                return 1.0, ""
            return (
                (0.95, "")
                if column.name_share >= 0.35 or named >= NAMED or column.merged_rows
                else (0.7, "the cells hardly look like names")
            )
        if kind not in fields.PARSERS:
            is_odd = kind == "url" and column.looks not in {"url", "image"} and named < NAMED
            return (0.9, "not all are web addresses") if is_odd else (1.0, "")
        share = self.reading(column.position, target.key).share
        told = f"{share:.0%} of the cells read as {kind}" if share < 1 else f"all cells read as {kind}"
        if share >= 0.98:
            return 1.0, told
        if kind in fields.OPTION_TYPES and named >= NAMED:
            return 0.9, told
        factor = 0.93 if share >= 0.9 else 0.82 if share >= 0.7 else 0.6 if share >= 0.5 else 0.3
        return factor, told

    # --- values that both sides have ---

    def _joined(self, pairs: Sequence[Pair]) -> Joined | None:
        """The products that both sides have, by the pair of identifying values that makes other columns agree most."""
        tried: list[tuple[float, Joined]] = []
        for pair in pairs:
            column, target = self._columns[pair.column], self._targets[pair.target]
            kind = target.field.type if target.field else "text"
            if pair.target not in self._held or column.distinct_share < 0.8 or kind not in _IDENTIFYING:
                continue
            joined = self._join(self.reading(pair.column, pair.target).values, self._held[pair.target], pair)
            if joined is not None:
                tried.append((len(joined.rows) * (0.2 + pair.score) * (0.5 + column.code_share), joined))
        best: tuple[float, Joined] | None = None
        for _, joined in sorted(tried, key=lambda each: -each[0])[:3]:
            others = [pair for pair in pairs if (pair.column, pair.target) != joined.by and pair.target in self._held]
            part = replace(joined, rows=joined.rows[:_TRIED], elements=joined.elements[:_TRIED])
            found = [self._agreement(pair, part) for pair in others]
            weight = len(joined.rows) * (1 + sum(agreed for agreed, count in found if agreed > 0.5))
            if best is None or weight > best[0]:
                best = (weight, joined)
        return best[1] if best else None

    def _join(self, sheet: pd.Series, catalog: pd.Series, pair: Pair) -> Joined | None:
        """Rows and elements with the same value, where it stands once on either side. None for too few."""
        mine, yours = self._alone(sheet), self._alone(catalog)
        shared, rows, elements = np.intersect1d(mine[0], yours[0], assume_unique=True, return_indices=True)
        if len(shared) < LEAST_JOINED:
            return None
        by = (pair.column, pair.target)
        return Joined(mine[1][rows][:MOST_JOINED], yours[1][elements][:MOST_JOINED], by)

    def _alone(self, texts: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """The texts that stand once, as numbers, and where."""
        numbers, places, counts = np.unique(self._numbered(texts), return_index=True, return_counts=True)
        is_alone = (counts == 1) & (numbers != 0)
        return numbers[is_alone], places[is_alone]

    def _agreement(self, pair: Pair, joined: Joined) -> tuple[float, int]:
        """How far a pair agrees in the joined products beyond what chance would do (Cohen's kappa), and in how many."""
        mine = self._numbered(self.reading(pair.column, pair.target).values)[joined.rows]
        yours = self._numbered(self._held[pair.target])[joined.elements]
        both = (mine != 0) & (yours != 0)
        mine, yours = mine[both], yours[both]
        same = int((mine == yours).sum())
        if len(mine) < LEAST_JOINED or not same:
            return 0.0, len(mine)
        ours, theirs = Counter(mine.tolist()), Counter(yours.tolist())
        chance = sum(times * theirs[text] for text, times in ours.items()) / len(mine) ** 2
        return ((same / len(mine) - chance) / (1 - chance) if chance < 1 else 0.0), len(mine)

    def _numbered(self, texts: pd.Series) -> NDArray[np.int64]:
        """Texts as numbers, the same text the same number everywhere; an empty one is 0."""
        if id(texts) not in self._numbers:
            codes, distinct = pd.factorize(texts)
            known = np.array(
                [self._vocabulary.setdefault(str(t), len(self._vocabulary)) for t in distinct], dtype="int64"
            )
            self._numbers[id(texts)] = (texts, known[codes] if len(known) else codes.astype("int64"))
        return self._numbers[id(texts)][1]

    def _with_values(self, pair: Pair, joined: Joined | None) -> Pair:
        """The pair with what the values say added."""
        column, target = self._columns[pair.column], self._targets[pair.target]
        if pair.target not in self._held or not column.filled:
            return pair
        if joined is not None and (pair.column, pair.target) == joined.by:
            found = len(joined.rows)
            return _raised(pair, min(0.95, 0.6 + 0.05 * found), f"{found} of its values are in the catalog")
        if joined is not None:
            return self._with_agreement(pair, target, *self._agreement(pair, joined))
        shared, count = _shared(self.reading(pair.column, pair.target).values, self._held[pair.target])
        is_telling = target.field is None or target.field.type not in fields.NUMBER_TYPES | {"checkbox"}
        if shared >= 0.3 and count >= 5 and is_telling:
            return _raised(pair, 0.7 * shared, f"{shared:.0%} of its values are in the catalog")
        return pair

    def _with_agreement(self, pair: Pair, target: Target, agreement: float, count: int) -> Pair:
        if agreement > 0.3:
            how = "agrees" if agreement > 0.99 else f"agrees ({agreement:.0%} beyond chance)"
            return _raised(pair, 0.95 * agreement * count / (count + 1), f"{how} with the catalog in {count} products")
        moves = target.field is not None and target.field.type in fields.NUMBER_TYPES | fields.DATE_TYPES
        if count >= 10 and agreement <= 0.02 and pair.named < NAMED and not moves:
            told = f"and yet it agrees with the catalog in none of {count} products"
            return replace(pair, score=pair.score * 0.7, reasons=(*pair.reasons, told))
        return pair

    def _capped(self, pair: Pair) -> Pair:
        """A type that is only carried as text is never proposed as sure."""
        target = self._targets[pair.target]
        if target.is_known or pair.score < MARK:
            return pair
        kind = target.field.type if target.field else ""
        return replace(
            pair, score=MARK - 0.01, reasons=(*pair.reasons, f"fields of type {kind} are only carried as text")
        )


_IDENTIFYING = frozenset({"text", "textarea", "numeric", "url"})
_LOOKS = {"barcode": "barcodes", "url": "web addresses", "image": "pictures", "id": "GUIDs"}


def _kind_of(target: Target) -> str:
    """The kind of thing that a target's name means."""
    return "name" if target.field is None else words.meaning(target.field.name).kind


def _raised(pair: Pair, strength: float, told: str) -> Pair:
    """Independent evidence: what speaks against the pair has to be wrong twice."""
    return replace(pair, score=1 - (1 - pair.score) * (1 - strength), reasons=(*pair.reasons, told))


def _shared(sheet: pd.Series, catalog: pd.Series) -> tuple[float, int]:
    """How many values both have, as a share of the shorter side, and as a count."""
    mine, yours = set(sheet[sheet != ""]), set(catalog[catalog != ""])
    common = len(mine & yours)
    return (common / min(len(mine), len(yours)) if common else 0.0), common


# --- the choice ----------------------------------------------------------------------------------------------


def choose(pairs: Sequence[Pair]) -> dict[int, Match]:
    """For each column its best pair: one to one where it is sure, else the nearest guess with its rival.

    A pair is taken when no other pair of its column or target that is still open comes within the margin; each one
    that is taken closes others, so this goes on until nothing changes.
    """
    ordered = sorted(pairs, key=lambda pair: (-pair.score, pair.column, pair.target))
    taken: dict[int, Match] = {}
    targets: set[str] = set()
    is_changing = True
    while is_changing:
        is_changing = False
        open_pairs = [pair for pair in ordered if pair.column not in taken and pair.target not in targets]
        for pair in open_pairs:
            if pair.score < MARK:
                break
            if pair.column in taken or pair.target in targets:
                continue
            if not _rivals(pair, open_pairs, taken, targets):
                taken[pair.column] = Match(pair)
                targets.add(pair.target)
                is_changing = True
    for pair in ordered:
        if pair.column not in taken and pair.target not in targets and pair.score > 0.3:
            rival = next(_rivals_of(pair, ordered, taken, targets), None)
            taken[pair.column] = Match(pair, "" if rival is None else _rival_words(pair, rival))
    return taken


def _rivals(pair: Pair, pairs: Sequence[Pair], taken: Mapping[int, Match], targets: set[str]) -> bool:
    return next(_rivals_of(pair, pairs, taken, targets), None) is not None


def _rivals_of(pair: Pair, pairs: Sequence[Pair], taken: Mapping[int, Match], targets: set[str]) -> Iterator[Pair]:
    for other in pairs:
        if other.score <= pair.score - MARGIN:
            return
        if other is pair or (other.column != pair.column and other.target != pair.target):
            continue
        if pair.named == 1 and other.named < 1:  # the very name beats one that is only like it
            continue
        sure_elsewhere = other.column in taken and taken[other.column].is_sure
        if not sure_elsewhere and other.target not in targets:
            yield other


def _rival_words(pair: Pair, rival: Pair) -> str:
    return f"column:{rival.column}" if rival.column != pair.column else f"target:{rival.target}"
