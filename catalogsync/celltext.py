"""The text of a cell: what is wrong with it, how a message shows it, the marks of texts that no cell holds. Pure."""

from __future__ import annotations

import re


class CellError(ValueError):
    """A cell's text is not a value of its column. `what` completes a sentence that begins with the address."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def quoted(text: str, limit: int = 60) -> str:
    """The cell's text as shown in a message: one line, cut where long."""
    flat = " ".join(text.split())
    return f'"{flat[: limit - 1]}…"' if len(flat) > limit else f'"{flat}"'


def clean_text(text: str) -> str:
    """Canonical text of a text cell: outer blanks removed, line ends as ``\\n``."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


_KEEPS = "the catalog keeps its text"
_KEPT = re.compile(rf"\s*\[catalogsync: (?:[0-9,]+ characters, more than a cell holds; [^\]]*|[^\]]*; {_KEEPS})\]\s*")


def too_long_mark(length: int) -> str:
    """What an export writes instead of a text that no cell holds, by its length in characters."""
    return f"[catalogsync: {length:,} characters, more than a cell holds; {_KEEPS}]"


def unread_mark(text: str) -> str:
    """What an export writes instead of a text that the import would take for something else."""
    told = "".join(char if char.isprintable() and char != "]" else "\N{REPLACEMENT CHARACTER}" for char in quoted(text))
    return f"[catalogsync: {told} would not be read back; {_KEEPS}]"


def is_too_long_mark(text: str) -> bool:
    """Whether a cell holds one of these marks: it has no say about its field, neither to change nor to clear it."""
    return text.lstrip().startswith("[catalogsync: ") and _KEPT.fullmatch(text) is not None
