"""``/api/v4/catalogs`` and ``/api/v4/account`` on the wire (api notes 4.2)."""

from __future__ import annotations

from .conftest import NOW, Clock, Session

URL = "/api/v4/catalogs"


def test_a_list_reads_with_everything_version_2_leaves_out(session: Session) -> None:
    products = {
        "id": 4220,
        "name": "Products",
        "created_by": 504141,
        "updated_by": 504141,
        "created_at": NOW,
        "updated_at": NOW,
        "sort": 10,
        "type": "regular",
        "can_add_elements": True,
        "can_show_in_cards": True,
        "can_link_multiple": True,
        "can_be_deleted": True,
        "sdk_widget_code": None,
        "account_id": 30001,
        "_links": {"self": {"href": f"{session.emulator.url}/api/v4/catalogs/4220"}},
    }
    assert session.get(f"{URL}/4220").json() == products
    body = session.get(f"{URL}?limit=1").json()
    assert body == {
        "_page": 1,
        "_links": {
            "self": {"href": f"{session.emulator.url}/api/v4/catalogs?limit=1"},
            "next": {"href": f"{session.emulator.url}/api/v4/catalogs?page=2&limit=1"},
        },
        "_embedded": {"catalogs": [products]},
    }


def test_lists_are_filtered_by_type_and_a_missing_one_is_404(session: Session) -> None:
    session.post(URL, [{"name": "Bills", "type": "invoices"}])
    (found,) = session.get(f"{URL}?type=invoices").json()["_embedded"]["catalogs"]
    assert found["name"] == "Bills"
    assert session.get(f"{URL}?type=suppliers").status_code == 204
    assert session.get(f"{URL}/999").status_code == 404
    assert session.get(f"{URL}?page=2").status_code == 204


def test_lists_are_added_and_changed(session: Session, clock: Clock) -> None:
    answer = session.post(URL, [{"name": "Bills", "sort": 5, "can_add_elements": False, "request_id": "b"}])
    assert answer.status_code == 200
    (added,) = answer.json()["_embedded"]["catalogs"]
    assert (added["request_id"], added["sort"], added["can_add_elements"]) == ("b", 5, False)
    clock.now_s += 60
    changed = session.patch(URL, [{"id": added["id"], "can_link_multiple": False}]).json()["_embedded"]["catalogs"][0]
    # The page's sample answers the id as text.
    assert (changed["request_id"], changed["name"], changed["updated_at"]) == (str(added["id"]), "Bills", NOW + 60)
    single = session.patch(f"{URL}/{added['id']}", {"name": "Invoices"}).json()
    assert (single["name"], single["can_link_multiple"]) == ("Invoices", False)
    assert session.get(f"{URL}/{added['id']}").json()["updated_at"] == NOW + 60


def test_a_list_that_cannot_be_is_refused_with_the_rest(session: Session) -> None:
    answer = session.post(URL, [{"name": "Good"}, {"name": "X", "type": "products"}, {}])
    assert [
        (entry["request_id"], error["code"], error["path"])
        for entry in answer.json()["validation-errors"]
        for error in entry["errors"]
    ] == [("1", "NotSupportedChoice", "type"), ("2", "FieldMissing", "name")]
    assert len(session.emulator.store.catalogs()) == 2


def test_an_account_has_at_most_ten_lists_and_one_of_invoices(session: Session) -> None:
    refused = session.post(URL, [{"name": f"No. {number}"} for number in range(9)])
    assert (refused.status_code, refused.json()["detail"]) == (400, "Error 281.")
    assert session.post(URL, [{"name": "A", "type": "invoices"}, {"name": "B", "type": "invoices"}]).status_code == 400
    assert len(session.emulator.store.catalogs()) == 2


def test_a_patch_of_a_missing_list_is_404_alone_and_a_choice_that_is_none_in_a_batch(session: Session) -> None:
    assert session.patch(f"{URL}/999", {"name": "X"}).status_code == 404
    errors = session.patch(URL, [{"id": 999, "name": "X"}]).json()["validation-errors"][0]["errors"]
    assert [(error["code"], error["path"]) for error in errors] == [("NotSupportedChoice", "id")]


def test_the_account_names_itself_and_its_zone(session: Session) -> None:
    assert session.get("/api/v4/account?with=datetime_settings").json() == {
        "id": 30001,
        "name": "Acme",
        "subdomain": "acme",
        "created_by": 504141,
        "updated_by": 504141,
        "current_user_id": 504141,
        "currency": "EUR",
        "created_at": 1500000000,
        "updated_at": 1500000000,
        "country": "LV",
        "currency_symbol": None,
        "customers_mode": "disabled",
        "is_unsorted_on": False,
        "is_loss_reason_enabled": False,
        "is_helpbot_enabled": False,
        "is_technical_account": False,
        "mobile_feature_version": 0,
        "contact_name_display_order": 1,
        "_links": {"self": {"href": f"{session.emulator.url}/api/v4/account?with=datetime_settings"}},
        "_embedded": {
            "datetime_settings": {
                "date_pattern": "d.m.Y H:i",
                "short_date_pattern": "d.m.Y",
                "short_time_pattern": "H:i",
                "date_format": "d.m.Y",
                "time_format": "H:i:s",
                "timezone": "Europe/Riga",
                "timezone_offset": "+03:00",
            }
        },
    }
    assert "_embedded" not in session.get("/api/v4/account").json()
