"""Plan: everything a run would do, as a value that can be shown, stored, refused and then applied.

A stored plan carries a digest of its changes. A file whose digest does not fit was edited and is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from catalogsync.errors import Problem, Spot, UserError
from catalogsync.model import Add, AddOptions, Ceiling, Change, Clash, Delete, Update

FORMAT = "catalogsync-plan"
VERSION = 2

Captions = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Shown:
    """How a column key is shown: its header or field name, the field's type, and captions by option id."""

    title: str
    type: str = "text"
    captions: Mapping[str, str] = field(default_factory=dict)
    timezone: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What a person decided about a plan (reviewbook.py), kept in the plan that is left of it.

    `digest` is the whole plan's; `approved_by` may be ""; `left_out` names every line that was not approved, and
    `decided` every conflict with the side that counts.
    """

    digest: str
    approved_by: str = ""
    left_out: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many requests an apply sends, all of them, and how many seconds that takes at the pace of the rate limit."""

    requests: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What a run would do to one catalog.

    `source` is the sheet as an address, to which a row is appended; `columns` says how each column key is
    shown; `rejected` and `warnings` are the problems of rows, `notes` what else a reader should know, `alarms`
    what looks like a broken sheet and must be let through by a person (guards.py); `clashes` are the cells that
    somebody changed in the CRM since the last run, as far as the sheet says otherwise. `sheet_rows` counts the rows.
    `existing_count` counts the elements of the catalog, `max_id` is the highest id and `max_updated_at` the latest
    ``updated_at`` among them, as read at `made_at` (Unix seconds). `batch_size` changes go into one request,
    `write_requests` is the fewest that carry them all (law 5). `options` are added before any of the changes is sent,
    with a request per field; until then stand-ins (captions.py) stand for them in the changes.
    `review` is there where a person reviewed it; it is no part of the digest. `export` is the name of the exported
    workbook that the sheet is, "" where it is another sheet: such a workbook has a base of its own. `forecast` is what
    an apply takes (forecasting.py); plans of older versions have none.
    """

    account_id: int
    catalog_id: int
    catalog_name: str
    mapping: str
    source: str
    made_at: int
    changes: tuple[Change, ...]
    columns: Mapping[str, Shown]
    key_columns: tuple[tuple[str, ...], ...]
    existing_count: int
    max_id: int
    max_updated_at: int
    unchanged_count: int
    batch_size: int
    write_requests: int
    rejected_rows: int = 0
    rejected: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    guards: Mapping[str, Ceiling] = field(default_factory=dict)
    sheet_rows: int = 0
    alarms: tuple[Problem, ...] = ()
    clashes: tuple[Clash, ...] = ()
    options: tuple[AddOptions, ...] = ()
    review: Review | None = None
    export: str = ""
    forecast: Forecast | None = None

    @property
    def option_count(self) -> int:
        """How many options are added, to all fields."""
        return sum(len(each.captions) for each in self.options)

    @property
    def counts(self) -> dict[str, int]:
        """How many changes of each kind: ``add``, ``update``, ``delete``."""
        return counts_of(self.changes)

    @cached_property
    def digest(self) -> str:
        """Twelve characters that stand for exactly these changes to this catalog, new options included.

        Made once: of many changes it takes a part of a second, and a run asks for it several times.
        """
        changes = (change_record(change) for change in self.changes)
        content = [self.account_id, self.catalog_id, *map(options_record, self.options), *changes]
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def address(self, row: int) -> str:
        """A sheet row as an address; "" for a change that no row asked for."""
        return f"{self.source}{row}" if row else ""


def counts_of(changes: Iterable[Change]) -> dict[str, int]:
    """How many changes of each kind: ``add``, ``update``, ``delete``."""
    counts = {"add": 0, "update": 0, "delete": 0}
    for change in changes:
        counts[kind_of(change)] += 1
    return counts


def kind_of(change: Change) -> str:
    """``add``, ``update`` or ``delete``."""
    match change:
        case Add():
            return "add"
        case Update():
            return "update"
        case Delete():
            return "delete"


def change_record(change: Change) -> dict[str, Any]:
    """A change as JSON values."""
    record: dict[str, Any] = {"kind": kind_of(change)}
    for name in change.__dataclass_fields__:
        value = getattr(change, name)
        record[name] = dict(value) if name in _MAPPINGS else value
    return record


_MAPPINGS = frozenset({"values", "before", "after", "kept"})
"""The parts of a change that hold canonical text by column key."""


def options_record(options: AddOptions) -> dict[str, Any]:
    """The new options of a field as JSON values."""
    return {"field_id": options.field_id, "captions": list(options.captions)}


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values, with its digest and a checksum over all of it. Holds no secret.

    What a command tells beside it under ``requests`` is no part of it.
    """
    tree = _tree(plan)
    return {**tree, "checksum": _checksum(tree)}


def _checksum(tree: Mapping[str, Any]) -> str:
    content = {name: value for name, value in tree.items() if name not in {"checksum", "requests"}}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _tree(plan: Plan) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "digest": plan.digest,
        "account_id": plan.account_id,
        "catalog_id": plan.catalog_id,
        "catalog_name": plan.catalog_name,
        "mapping": plan.mapping,
        "source": plan.source,
        "made_at": plan.made_at,
        "counts": plan.counts,
        "unchanged_count": plan.unchanged_count,
        "existing_count": plan.existing_count,
        "max_id": plan.max_id,
        "max_updated_at": plan.max_updated_at,
        "batch_size": plan.batch_size,
        "write_requests": plan.write_requests,
        **({"export": plan.export} if plan.export else {}),
        **({"forecast": dataclasses.asdict(plan.forecast)} if plan.forecast else {}),
        "rejected_rows": plan.rejected_rows,
        "sheet_rows": plan.sheet_rows,
        "columns": {
            key: {
                "title": shown.title,
                "type": shown.type,
                "captions": dict(shown.captions),
                "timezone": shown.timezone,
            }
            for key, shown in plan.columns.items()
        },
        "key_columns": [list(keys) for keys in plan.key_columns],
        "guards": {kind: str(ceiling) for kind, ceiling in plan.guards.items()},
        "options": [options_record(options) for options in plan.options],
        "changes": [change_record(change) for change in plan.changes],
        "clashes": [_clash_record(clash) for clash in plan.clashes],
        "rejected": [_problem_record(problem) for problem in plan.rejected],
        "warnings": [_problem_record(problem) for problem in plan.warnings],
        "notes": list(plan.notes),
        "alarms": [_problem_record(problem) for problem in plan.alarms],
        **({"review": dataclasses.asdict(plan.review)} if plan.review else {}),
    }


def _clash_record(clash: Clash) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(clash).items() if value is not None}


def _problem_record(problem: Problem) -> dict[str, Any]:
    told: dict[str, Any] = {"where": problem.where, "what": problem.what, "hint": problem.hint}
    return {**told, "spots": [[spot.row, spot.column] for spot in problem.spots]} if problem.spots else told


def _problem_of(record: Mapping[str, Any]) -> Problem:
    spots = (Spot(int(row), None if column is None else int(column)) for row, column in record.get("spots", ()))
    return Problem(**{**record, "spots": tuple(spots)})


_KINDS: Mapping[str, type[Add] | type[Update] | type[Delete]] = {"add": Add, "update": Update, "delete": Delete}


def from_json(tree: Any, name: str = "plan") -> Plan:
    """A plan from JSON values. Raises UserError where they are not a plan of this version, or were edited."""
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise UserError(f"{name}: this is not a plan; `catalogsync plan … --out plan.json` makes one")
    if tree.get("version") != VERSION:
        raise UserError(f"{name}: a plan of version {tree.get('version')}, this program reads {VERSION}; plan again")
    try:
        plan = Plan(
            account_id=int(tree["account_id"]),
            catalog_id=int(tree["catalog_id"]),
            catalog_name=str(tree["catalog_name"]),
            mapping=str(tree["mapping"]),
            source=str(tree["source"]),
            made_at=int(tree["made_at"]),
            changes=tuple(change_of(record) for record in tree["changes"]),
            columns={key: Shown(**shown) for key, shown in tree["columns"].items()},
            key_columns=tuple(tuple(keys) for keys in tree["key_columns"]),
            existing_count=int(tree["existing_count"]),
            max_id=int(tree["max_id"]),
            max_updated_at=int(tree["max_updated_at"]),
            unchanged_count=int(tree["unchanged_count"]),
            batch_size=max(1, int(tree["batch_size"])),
            write_requests=int(tree["write_requests"]),
            rejected_rows=int(tree["rejected_rows"]),
            sheet_rows=int(tree["sheet_rows"]),
            rejected=tuple(map(_problem_of, tree["rejected"])),
            warnings=tuple(map(_problem_of, tree["warnings"])),
            notes=tuple(map(str, tree["notes"])),
            clashes=tuple(Clash(**record) for record in tree["clashes"]),
            guards={kind: Ceiling.parse(text) for kind, text in tree["guards"].items()},
            alarms=tuple(map(_problem_of, tree["alarms"])),
            options=tuple(_options_of(record) for record in tree.get("options", ())),  # older plans have none
            export=str(tree.get("export", "")),
            forecast=_forecast_of(tree["forecast"]) if "forecast" in tree else None,
            review=_review_of(tree["review"]) if "review" in tree else None,
        )
        is_whole = _checksum(tree) == tree.get("checksum") and plan.digest == tree.get("digest")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{name}: the plan is damaged ({error}); plan again") from None
    if not is_whole:
        raise UserError(f"{name}: the file was changed since it was written; plan again")
    return plan


def _options_of(record: dict[str, Any]) -> AddOptions:
    return AddOptions(int(record["field_id"]), tuple(map(str, record["captions"])))


def _forecast_of(record: dict[str, Any]) -> Forecast:
    return Forecast(int(record["requests"]), float(record["seconds"]))


def _review_of(record: dict[str, Any]) -> Review:
    left_out, decided = (tuple(map(str, record[name])) for name in ("left_out", "decided"))
    return Review(str(record["digest"]), str(record["approved_by"]), left_out, decided)


def change_of(record: dict[str, Any]) -> Change:
    """The change of JSON values."""
    values = dict(record)
    return _KINDS[values.pop("kind")](**values)


def load_plan(path: Path) -> Plan:
    """A stored plan. Raises UserError where the file is no plan, damaged or edited."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError):
        raise UserError(f"{path}: not a plan in JSON; `catalogsync plan … --out plan.json` makes one") from None
    return from_json(tree, str(path))
