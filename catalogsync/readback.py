"""Reading back what was written: what the catalog stored in another form than it was sent. Pure.

A trimmed text and a rounded number say the same: they are told once and remembered with the base, so that the next
plan is empty. Anything else (a text that was cut, a value that vanished) is a loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal

from catalogsync.model import Add, Change, Delete, Stored

Kind = Literal["trimmed", "rounded", "cut", "changed"]
HARMLESS: frozenset[Kind] = frozenset({"trimmed", "rounded"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that was stored in another form; canonical texts."""

    op: int
    column_key: str
    sent: str
    stored: str
    kind: Kind

    @property
    def is_loss(self) -> bool:
        """Whether something of the value is gone."""
        return self.kind not in HARMLESS


def written_by(change: Change) -> Mapping[str, str]:
    """The canonical text by column key that a change writes."""
    match change:
        case Add():
            return change.values
        case Delete():
            return {}
        case _:
            return change.after


def differences(change: Change, stored: Stored) -> Iterator[Difference]:
    """Where what is stored differs from what was written. Columns that were not read back are passed over."""
    for key, sent in written_by(change).items():
        held = stored.values.get(key, sent)
        if held != sent and not (sent == "0" and held == ""):  # an unticked box may be absent (notes 8, Q42)
            yield Difference(change.op, key, sent, held, kind_of_difference(sent, held))


def kind_of_difference(sent: str, stored: str) -> Kind:
    """How a stored text came out of the one sent."""
    if " ".join(sent.split()) == " ".join(stored.split()):
        return "trimmed"
    if _is_rounded(sent, stored):
        return "rounded"
    if stored and sent.startswith(stored.rstrip("…")):
        return "cut"
    return "changed"


def _is_rounded(sent: str, stored: str) -> bool:
    try:
        wanted, held = Decimal(sent), Decimal(stored)
        places = max(0, -int(held.as_tuple().exponent))
        return places < -int(wanted.as_tuple().exponent) and abs(wanted - held) <= Decimal(1).scaleb(-places) / 2
    except (InvalidOperation, ValueError, TypeError):
        return False
