"""Form-encoded bodies with PHP's brackets, as the best-known v2 client sends them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from catalogsync.emulator.forms import FORM, read_form
from catalogsync.emulator.wire import Call

from .conftest import Session

URL = "/api/v2/catalog_elements"


def form(text: str) -> Any:
    return read_form(Call("POST", URL, (), "", text.encode(), content_type=FORM))


def sent(session: Session, path: str, *pairs: str) -> requests.Response:
    headers = {"Content-Type": f"{FORM}; charset=utf-8"}
    return session.http.post(session.emulator.url + path, data="&".join(pairs), headers=headers, timeout=10)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("add[0][name]=Chalk&add[0][catalog_id]=4220", {"add": [{"name": "Chalk", "catalog_id": "4220"}]}),
        ("add%5B0%5D%5Bname%5D=Two+words", {"add": [{"name": "Two words"}]}),
        ("add[][name]=a&add[][name]=b", {"add": [{"name": "a"}, {"name": "b"}]}),
        ("add[17][name]=a&add[3][name]=b", {"add": [{"name": "a"}, {"name": "b"}]}),
        ("delete[]=1&delete[]=2", {"delete": ["1", "2"]}),
        ("update[0][values][0][value][name]=x", {"update": [{"values": [{"value": {"name": "x"}}]}]}),
        ("a=1&a=2&b=", {"a": "2", "b": ""}),
        ("a=1&a[b]=2", {"a": "1"}),
        ("", None),
        ("&[x]=1&=2", {}),
    ],
)
def test_brackets_are_read_as_php_reads_them(text: str, body: object) -> None:
    assert form(text) == body


def test_json_that_is_announced_as_a_form_is_json(session: Session) -> None:
    assert sent(session, URL, ' {"delete": [41873]}').json()["_embedded"]["items"][0]["id"] == 41873


def test_an_element_is_added_changed_and_deleted_by_forms(session: Session) -> None:
    field = "add[0][custom_fields][%d]"
    answer = sent(
        session,
        URL,
        "add[0][name]=Chalk",
        "add[0][catalog_id]=4220",
        "add[0][request_id]=5",
        f"{field % 0}[id]=4400051",
        f"{field % 0}[values][0][value]=12.5",
        f"{field % 1}[id]=4400062",
        f"{field % 1}[values][]=3692539",
        f"{field % 1}[values][]=3692541",
        f"{field % 2}[id]=4400063",
        f"{field % 2}[values][0][value]=1",
        f"{field % 3}[id]=4400068",
        f"{field % 3}[values][0][value]=Riga",
        f"{field % 3}[values][0][subtype]=3",
    ).json()
    (item,) = answer["_embedded"]["items"]
    assert item["request_id"] == "5"
    assert session.values(item["id"]) == {
        4400051: [{"value": "12.5"}],
        4400062: [{"value": "1", "enum": "3692539"}, {"value": "3", "enum": "3692541"}],
        4400063: [{"value": "1"}],
        4400068: [{"value": "Riga", "subtype": "3"}],
    }
    stamp = session.element(item["id"])["updated_at"] + 1
    sent(session, URL, f"update[0][id]={item['id']}", f"update[0][updated_at]={stamp}", "update[0][name]=Chalks")
    assert session.element(item["id"])["name"] == "Chalks"
    gone = sent(session, URL, f"delete[]={item['id']}", "delete[]=1").json()
    assert gone["_embedded"]["items"][0]["id"] == item["id"]
    assert list(gone["_embedded"]["errors"]["delete"]) == ["1"]


def test_lists_and_fields_take_forms_too(session: Session) -> None:
    added = sent(session, "/api/v2/catalogs", "add[0][name]=New", "add[0][can_add_elements]=0").json()
    catalog = session.emulator.store.catalog(added["_embedded"]["items"][0]["id"])
    assert catalog is not None
    assert (catalog.name, catalog.can_add_elements, catalog.can_link_multiple) == ("New", False, True)
    pairs = ["add[0][name]=Size", "add[0][origin]=me", "add[0][type]=4", "add[0][element_type]=4220"]
    field = sent(session, "/api/v2/fields", *pairs, "add[0][enums][]=S", "add[0][enums][]=M").json()
    stored = session.emulator.store.field(field["_embedded"]["items"][0]["id"])
    assert stored is not None
    assert list(stored.options.values()) == ["S", "M"]


@pytest.mark.parametrize(("text", "code"), [("", "222"), ("x=1", "283"), ("add=1", "284"), ("add[0]=1", "284")])
def test_a_form_that_says_nothing_usable_is_refused(session: Session, text: str, code: str) -> None:
    answer = sent(session, URL, text)
    assert (answer.status_code, answer.json()["response"]["error_code"]) == (400, code)


def test_the_log_has_the_form_as_it_was_read(session: Session) -> None:
    sent(session, URL, "delete[]=41873")
    assert session.emulator.requests[-1].body == {"delete": ["41873"]}


def test_bytes_that_are_no_text_are_refused(session: Session) -> None:
    assert sent(session, URL, "add[0][name]=%ff").json()["response"]["error_code"] == "102"
