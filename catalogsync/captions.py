"""Captions of options: which one a sheet's label means, and what stands for one that does not exist yet. Pure.

A stand-in is canonical text (fields.py) like an id: ``+Purple`` stands where the id of the option “Purple” will
stand. No id begins with a plus, and a caption's commas are escaped (``%2C``, a percent sign is ``%25``), so that
several options of one cell stay apart. Ids take the place of stand-ins before an element is sent (newoptions.py).
"""

from __future__ import annotations

import difflib
import functools
import html
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_MARK = "+"
_LONGEST = 100
"""Longer labels are no typing errors of captions; comparing them takes long."""

_MOST_COMPARED = 2000
"""So many captions are compared with a label that none of them is."""


# --- matching ------------------------------------------------------------------------------------------------


def plain(caption: str) -> str:
    """A caption as people see it: API v2 tells them with HTML escapes (notes 1.3)."""
    return html.unescape(caption).strip()


def folded(label: str) -> str:
    """A label without what people do not see or do not mean: case, repeated blanks, the way an accent is stored."""
    return " ".join(unicodedata.normalize("NFC", html.unescape(label)).split()).casefold()


@dataclass(frozen=True, slots=True)
class _Index:
    """Option ids by their caption and by their folded caption."""

    exact: Mapping[str, tuple[int, ...]]
    folded: Mapping[str, tuple[int, ...]]


@functools.lru_cache(maxsize=64)
def _index(enums: tuple[tuple[int, str], ...]) -> _Index:
    exact: dict[str, tuple[int, ...]] = {}
    alike: dict[str, tuple[int, ...]] = {}
    for id_, caption in enums:
        exact[plain(caption)] = (*exact.get(plain(caption), ()), id_)
        alike[folded(caption)] = (*alike.get(folded(caption), ()), id_)
    return _Index(exact, alike)


def same(label: str, enums: Mapping[int, str]) -> tuple[int, ...]:
    """The options (id → caption) whose caption is exactly the label."""
    return _index(tuple(enums.items())).exact.get(plain(label), ())


def alike(label: str, enums: Mapping[int, str]) -> tuple[int, ...]:
    """The options whose caption is the label but for what `folded` leaves out."""
    return _index(tuple(enums.items())).folded.get(folded(label), ())


def near(label: str, known: Sequence[str]) -> str:
    """The known caption that a label was probably meant to be, "" where there is none."""
    if len(label) > _LONGEST:
        return ""
    names = {folded(name): plain(name) for name in known[:_MOST_COMPARED] if len(name) <= _LONGEST}
    found = difflib.get_close_matches(folded(label), list(names), n=1)
    return names[found[0]] if found else ""


# --- stand-ins -----------------------------------------------------------------------------------------------


def stand_in(label: str) -> str:
    """What stands for an option that does not exist yet; its caption is the label with single blanks."""
    return _MARK + " ".join(label.split()).replace("%", "%25").replace(",", "%2C")


def is_stand_in(option: str) -> bool:
    """Whether one option of a canonical text does not exist yet."""
    return option.startswith(_MARK)


def caption_of(option: str) -> str:
    """The caption that a stand-in names."""
    return option.removeprefix(_MARK).replace("%2C", ",").replace("%25", "%")


def split(canonical: str) -> list[str]:
    """The options of a canonical text: ids and stand-ins."""
    return canonical.split(",") if canonical else []


def joined(options: Iterable[str]) -> str:
    """Options as canonical text, each once: ids ascending, then stand-ins by their caption."""
    return ",".join(sorted(set(options), key=_order))


def _order(option: str) -> tuple[bool, int, str]:
    is_new = is_stand_in(option)
    return is_new, 0 if is_new else len(option), option


def unified(texts: Iterable[str]) -> Iterator[str]:
    """Canonical texts in which stand-ins that differ by what `folded` leaves out became the first one of them."""
    first: dict[str, str] = {}
    for text in texts:
        options = split(text)
        if any(map(is_stand_in, options)):
            options = [first.setdefault(folded(caption_of(o)), o) if is_stand_in(o) else o for o in options]
            text = joined(options)
        yield text


def with_ids(canonical: str, ids: Mapping[str, int]) -> str:
    """A canonical text with ids (by folded caption) in the place of stand-ins; those that `ids` lacks stay."""
    options = split(canonical)
    if not any(map(is_stand_in, options)):
        return canonical
    found = ((option, ids.get(folded(caption_of(option))) if is_stand_in(option) else None) for option in options)
    return joined(option if id_ is None else str(id_) for option, id_ in found)
