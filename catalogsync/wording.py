"""Column keys and canonical text as a person reads them: titles of fields, captions of options, local time."""

from __future__ import annotations

from collections.abc import Mapping

from catalogsync import fields
from catalogsync.model import Column, Field, Schema
from catalogsync.plan import Shown

LONGEST = 80
"""A value that is longer is cut where it is shown."""


def title_of(columns: Mapping[str, Shown], key: str) -> str:
    """A column's title, the key itself where it is not known."""
    return columns[key].title if key in columns else key


def in_words(columns: Mapping[str, Shown], key: str, canonical: str) -> str:
    """Canonical text as a person reads it, in one line, cut where long."""
    text = " ".join(whole_words(columns, key, canonical).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def whole_words(columns: Mapping[str, Shown], key: str, canonical: str) -> str:
    """Canonical text as a person reads it, all of it, with its line breaks."""
    shown = columns.get(key)
    if shown is None:
        return canonical
    enums = {int(id_): caption for id_, caption in shown.captions.items()}
    column = Column("", Field(0, shown.title, shown.type, enums=enums), split=",", timezone=shown.timezone)
    return fields.show(canonical, column)


def shown_as(column: Column, schema: Schema, title: str = "") -> Shown:
    """How a column is shown, by its title or else by its field's name."""
    return Shown(
        title=title or title_in(column),
        type=column.type,
        captions=captions_of(column),
        timezone=schema.timezone if column.type == "date_time" else "",
    )


def captions_of(column: Column) -> dict[str, str]:
    """The captions of a column's options by their ids."""
    return {str(id_): fields.caption(column, str(id_)) for id_ in (column.field.enums if column.field else ())}


def title_in(column: Column) -> str:
    """A title for a column that has no header: its field's name, with the subtype."""
    if column.field is None:
        return "Name"
    subtype = "other parts" if column.subtype == fields.OTHER_PARTS else column.subtype
    return f"{column.field.name}: {subtype}" if subtype else column.field.name
