"""A proposed mapping as the text of a mapping file: a line per column, with its score, its reason and two values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catalogsync.mapping_schema import MODELINE
from catalogsync.proposing.matching import MARK
from catalogsync.proposing.proposal import Line, Proposal

_PLAIN = re.compile(r"[^\W_](?:[\w.()/+%-]| (?=[^\s#:]))*")
_LONGEST_PLAIN = 100
_LONGEST_SAMPLE = 28
_LONGEST_COMMENT = 1000
_COMMENT_AT = 44


def mapping_text(proposal: Proposal, source: str, *, sheet: str = "", read: Mapping[str, Any] | None = None) -> str:
    """The text of a mapping file. `source` says what it was made from, `sheet` and `read` are the file's keys."""
    return "\n".join(_lines(proposal, source, sheet, {**(read or {})})) + "\n"


def _lines(proposal: Proposal, source: str, sheet: str, read: dict[str, Any]) -> Iterator[str]:
    yield MODELINE
    counted = f"{len(proposal.sure)} of {len(proposal.lines)} columns with values have a sure line"
    yield _comment(f"Proposed by `catalogsync init` from {source} for the catalog “{proposal.catalog_name}”.")
    yield _comment(f"{counted} (score {MARK} or more, nothing else like it). The others are commented out:")
    yield _comment('look at them, mend them, and take away the "# " in front. Beside each: score, reason, two values.')
    for note in proposal.notes:
        yield _comment(f"Note: {note}.")
    yield _with_comment(f"catalog: {proposal.catalog_id}", [proposal.catalog_name])
    key = f"key: {scalar(proposal.key)}" if proposal.key else "# key: HEADER"
    yield _with_comment(key, proposal.key_notes)
    if sheet:
        yield f"sheet: {scalar(sheet)}"
    if proposal.needs:
        read["needs"] = [*read.get("needs", []), *proposal.needs]
    if read:
        yield f"read: {flow(read)}"
    yield "columns:"
    lacking = {field.name: field.type for field in proposal.lacking}  # one without a header is called by its place
    for line in proposal.lines:
        yield from _entry(line, lacking.get(line.header or line.address.capitalize(), ""))


def _entry(line: Line, new_type: str) -> Iterator[str]:
    mark = "" if line.is_sure else "# "
    facts = [f"{line.score:.2f} {line.reason}" if line.target else line.reason]
    if new_type and not line.is_sure:
        facts.append(f"--create-fields would make a field of type {new_type}")
    facts.append(", ".join(f'"{_cut(text)}"' for text in line.samples))
    if line.header and line.header != line.address:
        facts.append(f"headed “{_cut(line.header)}”")
    yield _with_comment(f"  {mark}{scalar(line.address)}: {_filling(line)}", facts)
    for ask in line.asks:
        yield f"  #   {_flat(ask)}"


def _filling(line: Line) -> str:
    """The right side of a line: the field, or the field with its settings."""
    if line.target is None:
        return "FIELD"
    if not line.settings:
        return scalar(line.target.written)
    return flow({"field": line.target.written, **line.settings})


def flow(value: Any) -> str:
    """A value in one line: texts, lists and dicts of them."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(name))}: {flow(each)}" for name, each in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(str(value))


def scalar(text: str) -> str:
    """A text that YAML reads back as it is: plain where that is safe, else in double quotes."""
    if len(text) <= _LONGEST_PLAIN and _PLAIN.fullmatch(text) and all(_is_plain(char) for char in text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if _is_plain(char) else _escaped(char) for char in quoted)


def _is_plain(char: str) -> bool:
    return char.isprintable() and ord(char) != 0xFEFF


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def _comment(words: str) -> str:
    return f"# {_flat(words)}"


def _with_comment(text: str, facts: Sequence[str]) -> str:
    words = "; ".join(_flat(fact) for fact in facts if fact)
    return f"{text.ljust(_COMMENT_AT - 2)}  # {words}" if words else text


def _flat(text: str) -> str:
    """A text in one line that may stand in a comment."""
    return "".join(char if _is_plain(char) else "�" for char in " ".join(text.split()))[:_LONGEST_COMMENT]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SAMPLE else text[: _LONGEST_SAMPLE - 1] + "…"
