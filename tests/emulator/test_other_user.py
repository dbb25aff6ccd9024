"""What somebody else does in the vendor's own screens, behind the client's back."""

from __future__ import annotations

import pytest

from catalogsync.emulator.database import StoreError
from catalogsync.emulator.server import Emulator

from .conftest import NOW, Clock, Session


def test_an_edit_is_seen_with_its_user_and_time(session: Session, emulator: Emulator, clock: Clock) -> None:
    clock.now_s = NOW + 7
    emulator.store.edit_as_other_user(41873, values={"PRICE": "90", 4400050: None, "Multilist": ["1"]})
    element = session.element(41873)
    assert (element["updated_at"], element["updated_by"], element["created_by"]) == (NOW + 7, 504142, 504141)
    assert session.values(41873) == {
        4400049: [{"value": "416"}],
        4400051: [{"value": "90"}],
        4400062: [{"value": "1", "enum": "3692539"}],
    }


def test_an_edit_never_takes_the_stamp_backwards(emulator: Emulator) -> None:
    emulator.store.edit_as_other_user(41873, name="Later", at=NOW + 50)
    assert emulator.store.edit_as_other_user(41873, name="Again").updated_at == NOW + 50


def test_adds_and_deletes_are_seen(session: Session, emulator: Emulator) -> None:
    added = emulator.store.add_as_other_user(4220, "Chalk", {"Vendor code": "417"})
    emulator.store.delete_as_other_user(41872, 41873)
    items = session.get("/api/v2/catalog_elements?catalog_id=4220").json()["_embedded"]["items"]
    assert [(item["id"], item["name"], item["created_by"]) for item in items] == [(added.id, "Chalk", 504142)]


def test_what_does_not_exist_is_an_error_and_changes_nothing(emulator: Emulator) -> None:
    with pytest.raises(StoreError):
        emulator.store.delete_as_other_user(41873, 1)
    with pytest.raises(StoreError):
        emulator.store.edit_as_other_user(41873, name="X", values={"No such field": 1})
    element = emulator.store.element(41873)
    assert element is not None
    assert element.name == "Markers"
