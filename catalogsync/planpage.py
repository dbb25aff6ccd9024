"""Plan → one HTML page that a person reviews, on a phone as well. Pure.

The page holds everything it needs and asks the network for nothing, which its content policy also forbids. What comes
from the sheet or the catalog is escaped where it stands in the page, and travels to its small script as JSON in which
no character can end the script; the script puts it in as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from difflib import SequenceMatcher
from importlib.resources import files
from typing import Any

from catalogsync import guards, newoptions
from catalogsync.errors import Problem
from catalogsync.keys import key_text
from catalogsync.model import Add, Change, Clash, Delete
from catalogsync.plan import Plan, kind_of
from catalogsync.plantext import Wordings, source_words, summary, where_of
from catalogsync.wording import title_of

KINDS = (
    ("add", "Adds"),
    ("update", "Updates"),
    ("delete", "Deletes"),
    ("conflict", "Conflicts"),
    ("rejected", "Rejected rows"),
)
"""What the page filters by; edits in the CRM that were kept or reverted count as conflicts."""

LONGEST = 4_000
"""A value that is longer is cut in the page."""

MOST_LISTED = 2_000
"""So many warnings of a page are listed, the rest is counted."""

_GAP = 240  # unchanged text that is longer is left out in its middle
_EDGE = 60
_MOST_PAIRS = 10_000  # of equal words in two texts; what comparing takes grows with their number
_MOST_COMPARED = 6_000_000  # of them, and of words, in a whole page: seconds as a rule, half a minute at worst
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_PLACE = re.compile(r"\{\{([a-z]+)\}\}")

Parts = list[tuple[str, str]]


def page_of(plan: Plan, *, rps: float) -> str:
    """The page as text. `rps` is the rate limit that the forecast reckons with, 0 for none."""
    style, script = _asset("planpage.css"), _asset("planpage.js")
    data = _for_script({"kinds": KINDS, "items": list(_items(plan))})
    title = f"{plan.catalog_name} (catalog {plan.catalog_id})"
    values = {
        "policy": f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        "title": _text(f"Plan {plan.digest}: {title}"),
        "style": style,
        "catalog": _text(title),
        "source": _text(f"← {source_words(plan.source)}"),
        "summary": _text(summary(plan, rps=rps)),
        "made": _text(datetime.fromtimestamp(plan.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")),
        "sections": "\n".join(_sections(plan)),
        "data": data,
        "script": script,
    }
    return _PLACE.sub(lambda found: values[found[1]], _asset("planpage.html"))


def _asset(name: str) -> str:
    return files("catalogsync").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"


def _text(text: str) -> str:
    """Text as it may stand in the page. Halves of characters, which no file can hold, become marks."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


def _for_script(value: object) -> str:
    """JSON that no data can end early: not one of its characters means anything to HTML."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


# --- what stands above the list ------------------------------------------------------------------------------


def _sections(plan: Plan) -> Iterator[str]:
    yield from _section("A guard would stop this plan", guards.stopping(plan), "section", "guards")
    options = newoptions.told(plan.options, plan.columns)
    yield from _section("New options, added first; no undo takes them away", options, "section", "options")
    notes = [Problem("", note) for note in plan.notes]
    yield from _section("Notes", notes, "section", "notes")
    yield from _section("Worth a look", plan.warnings, "details", "warnings")


def _section(title: str, problems: Sequence[Problem], tag: str, name: str) -> Iterator[str]:
    if not problems:
        return
    head = "summary" if tag == "details" else "h2"
    lines = [f"<li dir=auto>{_text(str(problem))}</li>" for problem in problems[:MOST_LISTED]]
    if len(problems) > MOST_LISTED:
        lines.append(f"<li>… and {len(problems) - MOST_LISTED} more</li>")
    yield f'<{tag} class="{name}"><{head}>{title} ({len(problems)})</{head}><ul>{"".join(lines)}</ul></{tag}>'


# --- the list ------------------------------------------------------------------------------------------------


def _items(plan: Plan) -> Iterator[dict[str, Any]]:
    wordings, differ = Wordings(plan), _Differ()
    for change in plan.changes:
        element = "" if isinstance(change, Add) else f"element {change.id}"
        where = ", ".join(filter(None, (where_of(plan, change), element)))
        lines = list(_change_lines(wordings, differ, change))
        yield _item(kind_of(change), kind_of(change), key_text(change.key), where, lines)
    for clash in plan.clashes:
        where = f"{plan.address(clash.row)}, element {clash.id}"
        yield _item("conflict", _CLASHES[clash.kind], key_text(clash.key), where, _clash_lines(plan, wordings, clash))
    for problem in plan.rejected:
        told = (("problem", problem.what), ("what to do", problem.hint))
        lines = [(title, _only(words)) for title, words in told if words]
        yield _item("rejected", "rejected", problem.where, "", lines)


def _change_lines(wordings: Wordings, differ: _Differ, change: Change) -> Iterator[tuple[str, Any]]:
    if isinstance(change, Delete):
        yield "element", {"old": _cut(change.name), "new": "(deleted)"}
    for line in wordings.lines(change):
        is_new = isinstance(change, Add)
        yield line.title, _only(line.after) if is_new else differ.compared(line.before, line.after)


def _only(text: str) -> dict[str, str]:
    return {"old": "", "new": _cut(text)}


_CLASHES: Mapping[str, str] = {
    "conflict": "conflict, nothing is sent",
    "kept": "CRM edit kept",
    "reverted": "CRM edit reverted",
    "overridden": "CRM edit overridden",
    "deleted": "deleted in the CRM, not added again",
}


def _item(kind: str, label: str, key: str, where: str, lines: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {"kind": kind, "label": label, "key": key, "where": where, "lines": list(lines)}


def _clash_lines(plan: Plan, wordings: Wordings, clash: Clash) -> Iterator[tuple[str, Any]]:
    if clash.kind == "deleted":
        return
    title = title_of(plan.columns, clash.column)
    for words, text in (("was", clash.base), ("the sheet says", clash.sheet), ("the catalog says", clash.crm)):
        yield f"{title}, {words}", _only(wordings.words(clash.column, text) or "(empty)")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters)"


class _Differ:
    """Compares texts word by word, as far as the page's budget goes; after that they are shown whole."""

    def __init__(self) -> None:
        self._left = _MOST_COMPARED

    def compared(self, before: str, after: str) -> Any:
        """Parts (" " the same, "-" gone, "+" new, "…" left out), or old and new whole."""
        whole = {"old": _cut(before), "new": _cut(after) or "(cleared)"}
        if not before or not after:
            return whole
        old, new = _WORD.findall(before[:100_000]), _WORD.findall(after[:100_000])
        head = _common(old, new)
        old_rest, new_rest = old[head:], new[head:]
        tail = _common(old_rest[::-1], new_rest[::-1])
        old_middle, new_middle = old_rest[: len(old_rest) - tail], new_rest[: len(new_rest) - tail]
        if len(before) > 100_000 or len(after) > 100_000 or not self._affords(old_middle, new_middle):
            return whole
        middle = list(_middle(old_middle, new_middle))
        parts = [(" ", "".join(old[:head])), *middle, (" ", "".join(old_rest[len(old_rest) - tail :]))]
        same = sum(len(text) for how, text in parts if how == " ")
        if same * 3 < max(len(before), len(after)):  # hardly anything is left of it: whole reads better
            return whole
        return _shortened([(how, text) for how, text in parts if text])

    def _affords(self, old: Sequence[str], new: Sequence[str]) -> bool:
        """Whether two stretches are compared; charges for it."""
        ours, theirs = (Counter(word for word in words if not word.isspace()) for words in (old, new))
        pairs = sum(count * theirs[word] for word, count in ours.items())
        cost = pairs + len(old) + len(new)
        if pairs > _MOST_PAIRS or cost > self._left:
            return False
        self._left -= cost
        return True


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    return next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def _middle(old: list[str], new: list[str]) -> Iterator[tuple[str, str]]:
    for how, i, j, k, m in SequenceMatcher(str.isspace, old, new, autojunk=False).get_opcodes():
        if how == "equal":
            yield " ", "".join(old[i:j])
            continue
        yield "-", "".join(old[i:j])
        yield "+", "".join(new[k:m])


def _shortened(parts: Parts) -> Parts:
    """The parts with the middle of long unchanged stretches left out, and long changed ones cut."""
    made: Parts = []
    for how, text in parts:
        if how != " ":
            made.append((how, _cut(text)))
        elif len(text) > _GAP:
            made += [
                (" ", text[:_EDGE]),
                ("…", f" … {len(text) - 2 * _EDGE} characters the same … "),
                (" ", text[-_EDGE:]),
            ]
        else:
            made.append((how, text))
    return made
