"""What a column of a sheet can fill: the element's name, a field, or one subtype of a composite field."""

from __future__ import annotations

from dataclasses import dataclass

from catalogsync import fields, model

_NAME_WORDS = ("Name", "Название")


@dataclass(frozen=True)
class Target:
    """Something that a column can fill: the element's name, a field, or one subtype of a composite field.

    `titles` are the names under which people and exports know it, `written` how a mapping names its field.
    """

    field: model.Field | None
    subtype: str
    titles: tuple[str, ...]
    written: str

    @property
    def key(self) -> str:
        """The column key (model.py)."""
        return model.Column("", self.field, self.subtype).key

    @property
    def title(self) -> str:
        """What people call it."""
        return "the name" if self.field is None else self.titles[-1]

    @property
    def is_known(self) -> bool:
        """Whether this version understands the field's type; the others are carried as text."""
        return self.field is None or fields.is_known(self.field)


def targets_of(schema: model.Schema) -> list[Target]:
    """Everything that a column can fill."""
    found = [Target(None, "", _NAME_WORDS, model.NAME)]
    for field in schema.fields:
        for subtype in fields.SUBTYPES.get(field.type, ("",)):
            title = f"{field.name}: {subtype}" if subtype else field.name
            found.append(Target(field, subtype, (title,), _written(field, schema)))
    return found


def _written(field: model.Field, schema: model.Schema) -> str:
    """The field's name where a mapping finds it by that, else its id (docs/mapping.md)."""
    name = field.name
    taken = {model.NAME, *(str(other.id) for other in schema.fields), *(other.code for other in schema.fields)}
    is_own_code = name == field.code and sum(other.code == name for other in schema.fields) == 1
    is_plain = name == name.strip() and name.isprintable() and bool(name)
    is_alone = sum(other.name == name for other in schema.fields) == 1
    return name if is_plain and is_alone and (name not in taken or is_own_code) else str(field.id)
