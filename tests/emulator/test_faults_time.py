"""Faults that have to do with time and with other people: late, by halves, in turns, edits, normalising stores."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from catalogsync.emulator.faults import Fault, FaultError, read_faults
from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.server import Emulator

from .conftest import NOW, SEED, Clock, Session

URL = "/api/v2/catalog_elements"
ALL = f"{URL}?catalog_id=4220"


def add(*names: str) -> dict[str, Any]:
    return {"add": [{"catalog_id": 4220, "name": name} for name in names]}


def names(emulator: Emulator) -> list[str]:
    return [element.name for element in emulator.store.elements(4220, newest_first=False)][2:]


def test_a_late_request_is_applied_at_its_time_and_stamped_with_it(
    session: Session, emulator: Emulator, clock: Clock
) -> None:
    emulator.fault("apply-late=5 POST")
    assert session.post(URL, add("Late")).status_code == 504
    clock.now_s = NOW + 4.9
    assert names(emulator) == []
    clock.now_s = NOW + 60
    assert session.post(URL, add("Next")).status_code == 200
    assert names(emulator) == ["Late", "Next"]
    late = emulator.store.elements(4220, term="Late")[0]
    assert late.created_at == NOW + 5


def test_late_requests_come_in_the_order_of_their_times(session: Session, emulator: Emulator, clock: Clock) -> None:
    for number, late_s in enumerate([9, 3, 3]):
        emulator.fault(f"apply-late={late_s} POST nth={number + 1}")
    for name in ("first", "second", "third"):
        session.post(URL, add(name))
    clock.now_s = NOW + 3
    assert names(emulator) == ["second", "third"]
    clock.now_s = NOW + 10
    assert names(emulator) == ["second", "third", "first"]


def test_a_late_request_is_applied_though_nobody_asks(session: Session, emulator: Emulator, clock: Clock) -> None:
    applied = threading.Event()
    store = emulator.store
    insert = store.insert_element

    def told(*args: Any, **more: Any) -> Any:
        applied.set()
        return insert(*args, **more)

    store.insert_element = told  # type: ignore[method-assign]
    emulator.fault("apply-late=1 POST")
    session.post(URL, add("Late"))
    assert not applied.is_set()
    clock.now_s = NOW + 1
    assert applied.wait(10)


def test_a_connection_may_die_and_the_request_be_applied_later(
    session: Session, emulator: Emulator, clock: Clock
) -> None:
    emulator.fault("drop apply-late=2 POST")
    with pytest.raises(requests.ConnectionError):
        session.post(URL, add("Late"))
    assert names(emulator) == []
    clock.now_s = NOW + 2
    assert names(emulator) == ["Late"]


def test_a_late_write_is_judged_by_what_is_stored_then(session: Session, emulator: Emulator, clock: Clock) -> None:
    emulator.fault("apply-late=5 POST")
    session.post(URL, {"update": [{"id": 41873, "updated_at": NOW - 10, "name": "Late"}]})
    emulator.store.edit_as_other_user(41873, name="Theirs")
    clock.now_s = NOW + 5
    assert session.element(41873)["name"] == "Theirs"


def test_what_is_due_at_the_stop_is_applied_and_the_rest_is_lost(tmp_path: Path) -> None:
    clock = Clock(NOW)
    emulator = Emulator(tmp_path / "account.db", seed=SEED, rps=0, clock=clock)
    with emulator:
        emulator.fault("apply-late=5 POST")
        emulator.fault("apply-late=9 POST nth=2")
        session = Session(emulator)
        with session.http:
            session.post(URL, add("Due"))
            session.post(URL, add("Lost"))
        clock.now_s = NOW + 6
    clock.now_s = NOW + 60
    with emulator:
        assert names(emulator) == ["Due"]


@pytest.mark.parametrize(("sent", "stored"), [(["a", "b", "c"], ["a"]), (["a", "b"], ["a"]), (["a"], [])])
def test_half_of_a_batch_is_applied(session: Session, emulator: Emulator, sent: list[str], stored: list[str]) -> None:
    emulator.fault("504 half POST")
    assert session.post(URL, add(*sent)).status_code == 504
    assert names(emulator) == stored


def test_half_goes_through_the_verbs_in_their_order(session: Session, emulator: Emulator) -> None:
    emulator.fault("drop half POST")
    body = {"delete": [41872, 41873], "update": [{"id": 41873, "name": "New"}], **add("a")}
    with pytest.raises(requests.ConnectionError):
        session.post(URL, body)
    assert [element.name for element in emulator.store.elements(4220, newest_first=False)] == ["Pencils", "New", "a"]


@pytest.mark.parametrize(("position", "stored"), [("applied", ["a", "b"]), ("not", []), ("half", ["a"])])
def test_the_knob_applied_504(position: str, stored: list[str]) -> None:
    with Emulator(seed=SEED, rps=0, knobs=Knobs.from_text([f"applied_504={position}"])) as emulator:
        session = Session(emulator)
        with session.http:
            emulator.fault("504 POST")
            assert session.post(URL, add("a", "b")).status_code == 504
            assert names(emulator) == stored


def test_every_second_request_so_many_times(session: Session, emulator: Emulator) -> None:
    fault = emulator.fault("402 every=2 count=2 nth=2")
    assert [session.get(ALL).status_code for _ in range(6)] == [200, 402, 200, 402, 200, 200]
    assert (fault.matched, fault.fired) == (6, 2)


def test_a_401_in_the_middle_is_the_apis_own(session: Session, emulator: Emulator) -> None:
    emulator.fault("401 nth=2")
    seen = [session.get(ALL) for _ in range(3)]
    assert [answer.status_code for answer in seen] == [200, 401, 200]
    assert seen[1].json()["title"] == "Unauthorized"


def test_a_status_with_a_json_body_and_a_wait(session: Session, emulator: Emulator) -> None:
    emulator.fault("429 json retry-after=3")
    answer = session.get(ALL)
    assert (answer.json()["status"], answer.headers["Retry-After"]) == (429, "3")


@pytest.mark.parametrize(
    ("garbage", "start"),
    [
        ("bytes", b"\xff\xfe"),
        ("list", b"[{"),
        ("string", b'"{'),
        ("null", b"null"),
        ("empty", b""),
        ("html", b"<html>"),
    ],
)
def test_a_garbled_answer_has_another_shape(session: Session, emulator: Emulator, garbage: str, start: bytes) -> None:
    emulator.fault(f"garble={garbage} GET")
    answer = session.get(ALL)
    assert answer.status_code == 200
    assert answer.content[:2] == start[:2]
    assert session.get(ALL).json()["_embedded"]["items"]


def test_another_user_edits_between_two_requests(session: Session, emulator: Emulator) -> None:
    emulator.fault('edit 41873 PRICE=99 "Vendor code"= Multilist=1 Multilist=3 name="Blue markers" before GET nth=2')
    assert session.element(41873)["name"] == "Markers"
    assert session.element(41873)["name"] == "Blue markers"
    assert session.values(41873) == {
        4400050: [{"value": "250"}],
        4400051: [{"value": "99"}],
        4400062: [{"value": "1", "enum": "3692539"}, {"value": "3", "enum": "3692541"}],
    }


def test_the_list_moves_while_it_is_read(session: Session, emulator: Emulator) -> None:
    emulator.store.add_as_other_user(4220, "Chalk")
    emulator.fault("delete newest 4220 before GET nth=2")
    emulator.fault("add 4220 Eraser PRICE=5 after GET nth=2")
    pages = [session.get(f"{ALL}&limit_rows=1&limit_offset={offset}").json() for offset in (0, 1)]
    assert [page["_embedded"]["items"][0]["name"] for page in pages] == ["Chalk", "Pencils"]
    assert names(emulator) == ["Eraser"]


def test_an_edit_that_is_not_possible_says_why_and_hurts_nobody(session: Session, emulator: Emulator) -> None:
    fault = emulator.fault("delete 41873 GET count=0")
    assert [session.get(ALL).status_code for _ in range(2)] == [200, 200]
    assert fault.failed == "there is no element 41873"
    nowhere = emulator.fault("add 9 Chalk GET")
    session.get(ALL)
    assert nowhere.failed == "there is no list 9"


def test_a_store_that_normalises(session: Session, emulator: Emulator) -> None:
    for way in ("trim", "round", "truncate"):
        emulator.fault(f"normalise={way} POST")
    added = session.add(
        {"id": 4400049, "values": [{"value": "  415 "}]},
        {"id": 4400050, "values": [{"value": "-0.995"}]},
        {"id": 4400051, "values": [{"value": "12.3449"}]},
        {"id": 4400072, "values": [{"value": "x" * 300}]},
        {"id": 4400073, "values": [{"value": " "}]},
    )
    assert session.values(added) == {
        4400049: [{"value": "415"}],
        4400050: [{"value": "-1.00"}],
        4400051: [{"value": "12.34"}],
        4400072: [{"value": "x" * 255}],
    }
    session.elements({"update": [{"id": 41873, "name": f" {'y' * 300}"}]})
    assert session.element(41873)["name"] == "y" * 255
    emulator.store.edit_as_other_user(41872, name=" As typed ")
    assert session.element(41872)["name"] == " As typed "


@pytest.mark.parametrize(
    "text",
    [
        "edit 41873",
        "edit x PRICE=1",
        "edit 1 2 PRICE=3",
        "edit 1 'PRICE=3",
        "delete",
        "delete newest",
        "delete 1 PRICE=2",
        "add 4220",
        "add 4220 a b",
        "normalise=upper",
        "normalise",
        "garble=yes",
        "402 every=0",
        "504 nth=0",
        "apply-late",
        "apply-late=3 after POST",
        "429 retry-after=x",
    ],
)
def test_a_fault_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(FaultError):
        Fault.from_text(text)


@pytest.mark.parametrize(
    "given",
    [
        {"effect": "edit"},
        {"effect": "edit", "edit": {"action": "burn", "ids": [1]}},
        {"effect": "edit", "edit": {"action": "edit", "ids": 1}},
        {"effect": "edit", "edit": {"action": "add", "catalog_id": 1, "name": 5}},
        {"effect": "drop", "nth": "2"},
        {"effect": "drop", "delay_s": -1},
        {"effect": "drop", "path": 5},
        {"effect": "status", "status": "504"},
        {"effect": "status", "garbage": []},
    ],
)
def test_a_fault_object_that_cannot_be_is_refused(emulator: Emulator, given: object) -> None:
    with pytest.raises(FaultError):
        Fault.from_json(given)
    assert requests.post(f"{emulator.url}/_emulator/faults", json=given, timeout=10).status_code == 400


def test_an_edit_as_an_object_says_the_same_as_its_text() -> None:
    edit = {"action": "edit", "ids": [41873], "values": {"PRICE": "99"}}
    told = Fault.from_json({"effect": "edit", "method": "GET", "nth": 3, "when": "before", "edit": edit})
    assert told == Fault.from_text("edit 41873 PRICE=99 before GET nth=3")
    assert told.as_json()["edit"]["values"] == {"PRICE": "99"}


def test_a_file_has_a_fault_per_line_and_names_the_line_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "faults.txt"
    file.write_text("# a bad day\n\n429 GET\n  edit 41873 PRICE=99 GET nth=2\n", encoding="utf-8")
    assert read_faults(file) == [Fault.from_text("429 GET"), Fault.from_text("edit 41873 PRICE=99 GET nth=2")]
    file.write_text("429 GET\nbreak\n", encoding="utf-8")
    with pytest.raises(FaultError, match=r"^faults\.txt:2: 'break' is not an effect"):
        read_faults(file)
    with pytest.raises(FaultError, match="cannot be read"):
        read_faults(tmp_path / "none.txt")


def test_the_command_takes_a_file_of_faults(tmp_path: Path) -> None:
    from catalogsync.cli.emulator import command
    from catalogsync.errors import UserError

    file = tmp_path / "faults.txt"
    file.write_text("break\n", encoding="utf-8")
    done = CliRunner().invoke(command, ["--faults-file", str(file)])
    assert isinstance(done.exception, UserError)
    assert "faults.txt:1" in str(done.exception)
