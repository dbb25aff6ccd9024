"""Plan: to JSON and back, its digest, counts and the number of requests."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.errors import Problem, UserError
from catalogsync.model import Add, AddOptions, Ceiling, Change, Clash, Delete, Update
from catalogsync.plan import Plan, Shown, from_json, kind_of, load_plan, to_json
from tests.builders import made_plan

ADD = Add(1, "A", 2, {"name": "Pencil", "2": "80"})
UPDATE = Update(2, "B", 3, 102, 1102, {"9.city": "Riga"}, {"9.city": "Tartu"}, {"9.zip": "1001"})
DELETE = Delete(3, "C", 103, "Eraser", 1103)

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_VALUES = st.dictionaries(_TEXT, _TEXT, max_size=3)
_NUMBER = st.integers(0, 2**53)
_CHANGE: st.SearchStrategy[Change] = st.one_of(
    st.builds(Add, _NUMBER, _TEXT, _NUMBER, _VALUES),
    st.builds(Update, _NUMBER, _TEXT, _NUMBER, _NUMBER, _NUMBER, _VALUES, _VALUES, _VALUES),
    st.builds(Delete, _NUMBER, _TEXT, _NUMBER, _TEXT, _NUMBER),
)


def _through_text(plan: Plan) -> Any:
    return json.loads(json.dumps(to_json(plan), ensure_ascii=False))


def test_a_full_plan_survives_json() -> None:
    plan = made_plan(
        ADD,
        UPDATE,
        DELETE,
        columns={"5": Shown("Colour", "select", {"51": "Red"}), "8": Shown("Loaded", "date_time", {}, "Europe/Riga")},
        rejected_rows=2,
        rejected=(Problem("prices.csv:4 (Price)", "is empty", "fill it"),),
        warnings=(Problem("", "two elements hold the key"),),
        notes=("3 elements have no row",),
        alarms=(Problem("guard Price", "the typical value would go up", "check the sheet"),),
        guards={"delete": Ceiling(12.5, True), "update": Ceiling(1_234_567)},
        max_id=9_007_199_254_740_993,
        max_updated_at=1_760_000_500,
        clashes=(Clash("conflict", "B", 3, 102, "2", "75", "80", "90"), Clash("deleted", "D", 5, 104)),
        options=(AddOptions(5, ("Purple", "Salt, pepper")), AddOptions(6, ("XL",))),
    )
    assert from_json(_through_text(plan)) == plan


@given(st.lists(_CHANGE, max_size=4))
def test_any_changes_survive_json(changes: list[Change]) -> None:
    plan = made_plan(*changes)
    assert from_json(_through_text(plan)) == plan


def test_a_stored_plan_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(to_json(made_plan(ADD, UPDATE))), encoding="utf-8")
    assert load_plan(path) == made_plan(ADD, UPDATE)


def test_new_options_count_and_are_part_of_the_digest() -> None:
    plan = made_plan(ADD, options=(AddOptions(5, ("Purple", "Lilac")), AddOptions(6, ("XL",))))
    assert (plan.option_count, made_plan(ADD).option_count) == (3, 0)
    others = (made_plan(ADD), made_plan(ADD, options=plan.options[:1]), made_plan(ADD, options=plan.options[::-1]))
    assert plan.digest not in {other.digest for other in others}


def test_a_plan_of_a_version_that_could_not_add_options_is_read() -> None:
    plan = made_plan(ADD)
    tree = {name: value for name, value in _through_text(plan).items() if name not in {"options", "checksum"}}
    text = json.dumps(tree, ensure_ascii=False, sort_keys=True)
    tree["checksum"] = hashlib.sha256(text.encode()).hexdigest()
    assert from_json(tree) == plan


def test_counts_tell_each_kind() -> None:
    plan = made_plan(ADD, dataclasses.replace(ADD, op=4), UPDATE, DELETE)
    assert plan.counts == {"add": 2, "update": 1, "delete": 1}
    assert [kind_of(change) for change in plan.changes] == ["add", "add", "update", "delete"]


def test_an_empty_plan_counts_nothing() -> None:
    assert made_plan().counts == {"add": 0, "update": 0, "delete": 0}


def test_a_row_has_an_address_and_a_change_without_row_has_none() -> None:
    assert (made_plan().address(17), made_plan().address(0)) == ("prices.csv:17", "")


@pytest.mark.parametrize("change", [ADD, UPDATE, DELETE])
def test_the_digest_stands_for_every_detail_of_a_change(change: Change) -> None:
    digests = {made_plan(change).digest}
    for name in change.__dataclass_fields__:
        value = getattr(change, name)
        other: Any = {**value, "x": "y"} if isinstance(value, dict) else value * 2
        digests.add(made_plan(dataclasses.replace(change, **{name: other})).digest)
    assert len(digests) == 1 + len(change.__dataclass_fields__)


def test_half_a_surrogate_pair_in_a_plan_is_no_hindrance() -> None:
    plan = made_plan(Add(1, "A", 2, {"name": "a\ud800"}))
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan
    assert plan.digest != made_plan(Add(1, "A", 2, {"name": "a"})).digest


def test_the_digest_stands_for_account_catalog_and_order() -> None:
    plans = [
        made_plan(ADD, DELETE),
        made_plan(DELETE, ADD),
        made_plan(ADD),
        made_plan(ADD, DELETE, account_id=30002),
        made_plan(ADD, DELETE, catalog_id=4221),
    ]
    assert len({plan.digest for plan in plans}) == len(plans)


def test_a_plan_that_was_made_of_another_one_has_a_digest_of_its_own() -> None:
    whole = made_plan(ADD, UPDATE)
    assert whole.digest == whole.digest
    assert dataclasses.replace(whole, changes=(ADD,)).digest == made_plan(ADD).digest != whole.digest


def test_the_digest_is_the_same_in_every_run() -> None:
    assert made_plan(ADD, UPDATE, DELETE).digest == "d83e62482bde"
    later = made_plan(ADD, UPDATE, DELETE, made_at=5, notes=("x",), source="other.csv:")
    assert later.digest == made_plan(ADD, UPDATE, DELETE).digest


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("changes", 0, "values", "2"), "8000"),
        (("changes", 1, "id"), 999),
        (("changes", 1, "kept", "9.zip"), ""),
        (("catalog_id",), 4221),
        (("account_id",), 1),
        (("digest",), "000000000000"),
        (("guards",), {"delete": "100%"}),
        (("max_id",), 1),
        (("key_columns",), []),
        (("notes",), ["nothing to see"]),
        (("alarms",), []),
        (("checksum",), "0"),
    ],
)
def test_an_edited_plan_is_refused(place: tuple[str | int, ...], text: object) -> None:
    tree = node = _through_text(made_plan(ADD, UPDATE, alarms=(Problem("guard rows", "few"),)))
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = text
    with pytest.raises(UserError, match=r"^plan: the file was changed since it was written; plan again$"):
        from_json(tree)


def test_a_change_taken_out_of_a_plan_is_noticed() -> None:
    tree = _through_text(made_plan(ADD, DELETE))
    del tree["changes"][1]
    with pytest.raises(UserError, match="the file was changed since it was written"):
        from_json(tree)


@pytest.mark.parametrize("tree", [None, [], "plan", {}, {"format": "other"}, {"version": 1}])
def test_what_is_no_plan_is_said_to_be_none(tree: object) -> None:
    with pytest.raises(
        UserError, match=r"^x\.json: this is not a plan; `catalogsync plan … --out plan\.json` makes one"
    ):
        from_json(tree, "x.json")


@pytest.mark.parametrize("version", [0, 1, 3, None, "2"])
def test_a_plan_of_another_version_is_refused(version: object) -> None:
    tree = {**_through_text(made_plan(ADD)), "version": version}
    with pytest.raises(UserError, match=f"^plan: a plan of version {version}, this program reads 2; plan again$"):
        from_json(tree)


_DAMAGE: list[dict[str, Any]] = [
    {"changes": 5},
    {"changes": [{"kind": "rename"}]},
    {"changes": [{"op": 1}]},
    {"changes": [["add"]]},
    {"changes": [{"kind": "delete", "op": 1}]},
    {"columns": []},
    {"columns": {"1": {"name": "Price"}}},
    {"account_id": None},
    {"account_id": float("inf")},
    {"max_id": "many"},
    {"guards": {"delete": "lots"}},
    {"guards": {"delete": 5}},
    {"key_columns": 7},
    {"rejected": [{}]},
    {"notes": 3},
    {"alarms": [{}]},
    {"alarms": None},
]


@pytest.mark.parametrize("damage", _DAMAGE, ids=str)
def test_a_damaged_plan_is_refused_in_words(damage: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^plan: (the plan is damaged|the changes are not those)"):
        from_json({**_through_text(made_plan(ADD)), **damage})


@pytest.mark.parametrize("name", sorted(_through_text(made_plan()).keys() - {"counts", "write_requests"}))
def test_a_plan_that_lacks_anything_is_refused(name: str) -> None:
    tree = _through_text(made_plan(ADD))
    del tree[name]
    with pytest.raises(UserError):
        from_json(tree)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"catalog: 5", b"[" * 200_000])
def test_a_file_that_is_no_json_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"plan\.json: not a plan in JSON"):
        load_plan(path)


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.json: no such file$"):
        load_plan(tmp_path / "gone.json")
