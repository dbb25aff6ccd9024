"""An account from a YAML or JSON file, or from a mapping of the same form.

    account: {id: 30001, name: Acme, subdomain: acme, timezone: Europe/Riga, currency: EUR}
    token: secret                       # one is generated where none is given
    oauth: {client_id: me, client_secret: hush, redirect_uri: "https://example.com", code: once}   # each optional
    catalogs:
      - id: 4220                        # ids are optional everywhere, and generated where absent
        name: Products
        type: regular                   # regular | invoices | products | suppliers
        fields:
          - {id: 4400049, name: Vendor code, type: text, code: SKU, is_system: true}
          - {id: 4400062, name: Grade, type: multiselect, enums: {A: 3692539, B: 3692540}}
          - {name: Colour, type: select, enums: [Red, Green]}
        elements:
          - {id: 41872, name: Pencils, values: {SKU: "415", Grade: [A, B]}}

Values are keyed by field id, code or name, and written as a person would: labels of options, yes or no,
YYYY-MM-DD, local time. In YAML every scalar stays the text that was written: 00123 keeps its zeros.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from catalogsync.emulator import oauth
from catalogsync.emulator.database import StoreError
from catalogsync.emulator.model import FIELD_TYPES, Account
from catalogsync.emulator.store import Store
from catalogsync.emulator.values import whole_number

ACCOUNT = {"id": 30_001, "name": "Emulator", "subdomain": "emulator", "timezone": "Europe/Berlin", "currency": "EUR"}
USER_ID = 504_141
CATALOG_TYPES = ("regular", "invoices", "products", "suppliers")
LEAST_CATALOG_ID = 1000
AGE_S = 86_400

_CATALOG_FLAGS = ("can_add_elements", "can_show_in_cards", "can_link_multiple")
_FIELD_FLAGS = ("is_system", "is_required", "is_deletable", "is_visible", "is_editable")
_TOP = ("account", "token", "oauth", "catalogs")
_OAUTH = ("client_id", "client_secret", "redirect_uri", "code")
_CATALOG = ("id", "name", "type", "fields", "elements", *_CATALOG_FLAGS)
_FIELD = ("id", "name", "code", "type", "enums", "origin", *_FIELD_FLAGS)
_ELEMENT = ("id", "name", "values", "leads", "created_at", "updated_at", "created_by", "updated_by")


class SeedError(ValueError):
    """The seed cannot be used. Says where in it, and why."""


def load_seed(store: Store, seed: Path | Mapping[str, Any] | None, now_s: int) -> None:
    """Fills an empty database: all of the seed, or nothing and a `SeedError`.

    Without a seed the account is empty. Elements are a day old unless the seed says otherwise, so that
    the first edit made after the start is newer than what was seeded.
    """
    top = read_seed(seed) if isinstance(seed, Path) else (seed or {})
    with store.transaction():
        _fill(store, _map(top, "seed", _TOP), now_s)


def read_seed(path: Path) -> Any:
    """The content of a seed file, by its ending; YAML scalars stay text."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SeedError(f"{path.name} cannot be read: {error}") from error
    try:
        return json.loads(text) if path.suffix.lower() == ".json" else _read_yaml(text)
    except (ValueError, yaml.YAMLError) as error:
        raise SeedError(f"{path.name} cannot be read: {error}") from error


def _read_yaml(text: str) -> Any:
    loader = yaml.BaseLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _fill(store: Store, top: Mapping[str, Any], now_s: int) -> None:
    store.set_account(_account(top.get("account")))
    if top.get("token"):
        store.add_token(str(top["token"]))
    integration = {name: str(told) for name, told in _map(top.get("oauth"), "oauth", _OAUTH).items() if told}
    if code := integration.pop("code", None):
        oauth.issue(store, "code", now_s, code)
    store.set_setting(oauth.CLIENT, integration)
    for where, given in _each(top, "catalogs", ""):
        with _Place(where):
            _add_catalog(store, _map(given, where, _CATALOG), where, now_s)


def _account(given: object) -> Account:
    told = ACCOUNT | dict(_map(given, "account", (*ACCOUNT, "user_id")))
    try:
        ZoneInfo(str(told["timezone"]))
    except (LookupError, ValueError, OSError) as error:
        raise SeedError(f"account.timezone: {told['timezone']!r} is not a time zone") from error
    return Account(
        id=_id(told, "account") or 0,
        name=str(told["name"]),
        subdomain=str(told["subdomain"]),
        timezone=str(told["timezone"]),
        currency=str(told["currency"]),
        user_id=_number(told, "user_id", "account") or USER_ID,
    )


def _add_catalog(store: Store, given: Mapping[str, Any], where: str, now_s: int) -> None:
    type_ = str(given.get("type") or "regular")
    if type_ not in CATALOG_TYPES:
        raise SeedError(f"{where}.type: {type_!r} is none of {', '.join(CATALOG_TYPES)}")
    catalog_id = _id(given, where)
    if catalog_id is not None and catalog_id < LEAST_CATALOG_ID:
        raise SeedError(f"{where}.id: list ids start at {LEAST_CATALOG_ID}, not {catalog_id}")
    catalog = store.add_catalog(_name(given, where), type_, id=catalog_id, **_flags(given, _CATALOG_FLAGS, where))
    for place, field in _each(given, "fields", where):
        with _Place(place):
            _add_field(store, catalog.id, _map(field, place, _FIELD), place)
    for place, element in _each(given, "elements", where):
        with _Place(place):
            _add_element(store, catalog.id, _map(element, place, _ELEMENT), place, now_s)


def _add_field(store: Store, catalog_id: int, given: Mapping[str, Any], where: str) -> None:
    type_ = str(given.get("type") or "text")
    if type_ not in FIELD_TYPES:
        raise SeedError(f"{where}.type: {type_!r} is none of {', '.join(FIELD_TYPES)}")
    options = list(_options(given.get("enums"), where))
    if options and FIELD_TYPES[type_].kind not in ("choice", "choices"):
        raise SeedError(f"{where}.enums: a field of type {type_} has no options")
    store.add_field(
        catalog_id,
        _name(given, where),
        type_,
        id=_id(given, where),
        code=str(given["code"]) if given.get("code") else None,
        origin=str(given["origin"]) if given.get("origin") else None,
        options=options,
        **_flags(given, _FIELD_FLAGS, where),
    )


def _options(given: object, where: str) -> Iterator[tuple[int | None, str]]:
    if isinstance(given, Mapping):
        for label, sent in given.items():
            number = whole_number(sent)
            if number is None:
                raise SeedError(f"{where}.enums.{label}: {sent!r} is not an id")
            yield number, str(label)
    elif isinstance(given, list):
        yield from ((None, str(label)) for label in given)
    elif given:
        raise SeedError(f"{where}.enums: expected a map of label: id, or a list of labels")


def _add_element(store: Store, catalog_id: int, given: Mapping[str, Any], where: str, now_s: int) -> None:
    values = given.get("values") or {}
    if not isinstance(values, Mapping):
        raise SeedError(f"{where}.values: expected a map of field: value")
    created_at = _number(given, "created_at", where) or now_s - AGE_S
    user_id = store.account.user_id
    leads = [whole_number(lead) for lead in given.get("leads") or []]
    if None in leads:
        raise SeedError(f"{where}.leads: expected a list of ids")
    element = store.insert_element(
        catalog_id,
        _name(given, where),
        store.neutral(catalog_id, values)[0],
        by=_number(given, "created_by", where) or user_id,
        at=created_at,
        id=_id(given, where),
        leads=[lead for lead in leads if lead is not None],
    )
    updated_at = _number(given, "updated_at", where) or created_at
    updated_by = _number(given, "updated_by", where) or element.created_by
    if (updated_at, updated_by) != (element.updated_at, element.updated_by):
        store.save_element(replace(element, updated_at=updated_at, updated_by=updated_by))


class _Place:
    """Puts the place in the seed before what the store says about it."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StoreError):
            raise SeedError(f"{self._where}: {error}") from error
        if isinstance(error, sqlite3.IntegrityError):
            raise SeedError(f"{self._where}: the id is taken") from error


def _each(given: Mapping[str, Any], name: str, where: str) -> Iterator[tuple[str, object]]:
    entries = given.get(name) or []
    path = f"{where}.{name}" if where else name
    if not isinstance(entries, list):
        raise SeedError(f"{path}: expected a list")
    for index, entry in enumerate(entries):
        yield f"{path}[{index}]", entry


def _map(given: object, where: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if given in (None, ""):
        return {}
    if not isinstance(given, Mapping):
        raise SeedError(f"{where}: expected a map of {', '.join(known)}")
    if unknown := [str(name) for name in given if name not in known]:
        raise SeedError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
    return given


def _name(given: Mapping[str, Any], where: str) -> str:
    if not given.get("name"):
        raise SeedError(f"{where}.name is missing")
    return str(given["name"])


def _id(given: Mapping[str, Any], where: str) -> int | None:
    number = _number(given, "id", where)
    if number == 0:
        raise SeedError(f"{where}.id: ids start at 1")
    return number


def _number(given: Mapping[str, Any], name: str, where: str) -> int | None:
    if given.get(name) in (None, ""):
        return None
    number = whole_number(given[name])
    if number is None:
        raise SeedError(f"{where}.{name}: {given[name]!r} is not a whole number")
    return number


def _flags(given: Mapping[str, Any], names: tuple[str, ...], where: str) -> dict[str, bool]:
    flags: dict[str, bool] = {}
    for name in names:
        if given.get(name) in (None, ""):
            continue
        word = str(given[name]).lower()
        if word not in ("true", "false", "yes", "no", "1", "0"):
            raise SeedError(f"{where}.{name}: {given[name]!r} is neither true nor false")
        flags[name] = word in ("true", "yes", "1")
    return flags
