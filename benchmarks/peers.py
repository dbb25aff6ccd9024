"""Reference peers: a plan by a loop over rows, a plan by pandas as one would write it, a comparison by polars.

They do what a plan cannot do without (read, normalise, compare) and none of what catalogsync checks on the way.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.data import COLOURS, FIELD_IDS, SIZES
from catalogsync import model
from catalogsync.keys import key_text

Outcome = dict[str, tuple[str, dict[str, str]]]
"""By key whether a product is added or updated, and the canonical texts that are sent, by column key."""

_COLOUR_IDS = {caption: str(id_) for id_, caption in COLOURS.items()}
_SIZE_IDS = {caption: id_ for id_, caption in SIZES.items()}
_CODE = FIELD_IDS["code"]


def outcome_of(changes: Iterable[model.Change]) -> Outcome:
    """The changes of a plan or of the differ, as the peers tell them."""
    made: Outcome = {}
    for change in changes:
        match change:
            case model.Add():
                made[key_text(change.key)] = ("add", dict(change.values))
            case model.Update():
                made[key_text(change.key)] = ("update", dict(change.after))
    return made


# --- a loop over rows ----------------------------------------------------------------------------------------


def plan_by_loop(sheet: Path, pages: Iterable[bytes]) -> Outcome:
    """csv.DictReader, json.loads, dictionaries, one comparison per cell."""
    existing: dict[str, dict[str, str]] = {}
    for body in pages:
        for item in json.loads(body)["_embedded"]["items"]:
            held = _held(item)
            existing[held[_CODE]] = held
    made: Outcome = {}
    with sheet.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            wanted = _wanted(row)
            known = existing.get(wanted[_CODE])
            if known is None:
                made[wanted[_CODE]] = ("add", {key: text for key, text in wanted.items() if text})
                continue
            after = {key: text for key, text in wanted.items() if text and text != known.get(key, "")}
            if after:
                made[wanted[_CODE]] = ("update", after)
    return made


def _wanted(row: Mapping[str, str]) -> dict[str, str]:
    """A row of the sheet as canonical texts."""
    made = {}
    for header, text in row.items():
        text = text.strip()
        if text:
            if header in {"price", "amount"}:
                text = _number(text)
            elif header == "colour":
                text = _COLOUR_IDS[text]
            elif header == "sizes":
                text = ",".join(map(str, sorted(_SIZE_IDS[size.strip()] for size in text.split(";"))))
            elif header == "active":
                text = "1" if text == "yes" else "0"
            elif header == "since":
                text = date.fromisoformat(text).isoformat()
        made[FIELD_IDS[header]] = text
    return made


def _held(item: Mapping[str, Any]) -> dict[str, str]:
    """An element as canonical texts."""
    held = {"name": item["name"].strip()}
    for field in item["custom_fields"]:
        key, values = str(field["id"]), field["values"]
        if key == FIELD_IDS["sizes"]:
            held[key] = ",".join(map(str, sorted(int(value["enum"]) for value in values)))
        elif key == FIELD_IDS["colour"]:
            held[key] = values[0]["enum"]
        elif key in {FIELD_IDS["price"], FIELD_IDS["amount"]}:
            held[key] = _number(values[0]["value"])
        elif key == FIELD_IDS["since"]:
            held[key] = values[0]["value"][:10]
        else:
            held[key] = values[0]["value"].strip()
    return held


def _number(text: str) -> str:
    return format(Decimal(text).normalize(), "f")


# --- pandas --------------------------------------------------------------------------------------------------


def plan_by_pandas(sheet: Path, pages: Iterable[bytes]) -> Outcome:
    """read_csv as text, the elements as a DataFrame of dictionaries, a merge, a comparison per column."""
    wanted = pd.read_csv(sheet, dtype=str, keep_default_na=False).rename(columns=FIELD_IDS)
    for column in wanted:
        wanted[column] = wanted[column].str.strip()
    for name in ("price", "amount"):
        wanted[FIELD_IDS[name]] = wanted[FIELD_IDS[name]].map(_number)
    wanted[FIELD_IDS["colour"]] = wanted[FIELD_IDS["colour"]].map(_COLOUR_IDS)
    wanted[FIELD_IDS["sizes"]] = wanted[FIELD_IDS["sizes"]].map(
        lambda text: ",".join(map(str, sorted(_SIZE_IDS[size.strip()] for size in text.split(";"))))
    )
    wanted[FIELD_IDS["active"]] = wanted[FIELD_IDS["active"]].map({"yes": "1", "no": "0"})
    wanted[FIELD_IDS["since"]] = pd.to_datetime(wanted[FIELD_IDS["since"]]).dt.strftime("%Y-%m-%d")
    held = pd.DataFrame(_held(item) for body in pages for item in json.loads(body)["_embedded"]["items"])
    held = held.fillna("").drop_duplicates(_CODE)
    both = wanted.merge(held, on=_CODE, how="left", suffixes=("", "_held"), indicator=True)
    is_new = both["_merge"] == "left_only"
    compared = [key for key in wanted.columns if key != _CODE]
    changed = {key: ~is_new & (both[key] != "") & (both[key] != both[f"{key}_held"]) for key in compared}
    made: Outcome = {}
    for record in both.loc[is_new, list(wanted.columns)].to_dict("records"):
        made[str(record[_CODE])] = ("add", {str(key): text for key, text in record.items() if text})
    for key, mask in changed.items():
        for code, text in zip(both.loc[mask, _CODE], both.loc[mask, key], strict=True):
            made.setdefault(code, ("update", {}))[1][key] = text
    return made


# --- polars --------------------------------------------------------------------------------------------------


def diff_by_polars(wanted: Any, held: Any) -> Outcome:
    """A left join of two polars frames on their code, a comparison per column, and the rows that differ."""
    import polars as pl

    compared = [key for key in wanted.columns if key != _CODE]
    joined = wanted.join(held.with_columns(is_held=True), on=_CODE, how="left", suffix="_held")
    differs = {key: (pl.col(key) != "") & (pl.col(key) != pl.col(f"{key}_held")) for key in compared}
    is_new = pl.col("is_held").is_null()
    found = joined.filter(is_new | pl.any_horizontal(*differs.values()))
    made: Outcome = {}
    for record in found.filter(is_new).select(wanted.columns).iter_rows(named=True):
        made[record[_CODE]] = ("add", {key: text for key, text in record.items() if text})
    updates = found.filter(~is_new).select(
        _CODE, *compared, *(condition.alias(f"{key}_differs") for key, condition in differs.items())
    )
    for record in updates.iter_rows(named=True):
        made[record[_CODE]] = ("update", {key: record[key] for key in compared if record[f"{key}_differs"]})
    return made
