"""The store of logins: whole or not at all, readable by its owner only, and without a secret where a keyring is."""

from __future__ import annotations

import base64
import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from catalogsync import secretrefs
from catalogsync.api import logins
from catalogsync.api.auth import Account, account_from, account_of
from catalogsync.api.logins import Login
from catalogsync.errors import CatalogBusy, NoAccount, UserError
from tests.accounts import fake_keyring

URL = "https://acme.kommo.com"
LOGIN = Login(URL, "me", "env:SECRET", "http://127.0.0.1:8765/").with_pair(
    "access-1", "refresh-1", 1_760_000_000, 86_400
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")


def test_a_login_comes_back_as_it_was_kept(state_folder: Path) -> None:
    assert logins.load(URL) is None
    path = logins.path_of(URL)
    logins.save(LOGIN, path)
    assert logins.load(URL) == LOGIN
    assert path == state_folder / "accounts" / "acme.kommo.com.json"
    assert LOGIN.expires_at == 1_760_086_400
    assert [each.name for each in path.parent.iterdir()] == ["acme.kommo.com.json"]


@posix
def test_only_its_owner_may_read_it_also_when_it_is_replaced(state_folder: Path) -> None:
    path = logins.path_of(URL)
    for _ in range(2):
        logins.save(LOGIN, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        path.chmod(0o644)


def test_a_save_that_fails_leaves_the_old_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    path = logins.path_of(URL)
    logins.save(LOGIN, path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(NoAccount, match="No space left on device"):
        logins.save(LOGIN.with_pair("access-2", "refresh-2", 0, 0), path)
    assert logins.load(URL) == LOGIN
    assert [each.name for each in path.parent.iterdir()] == ["acme.kommo.com.json"]


def test_a_file_that_somebody_reads_just_now_is_replaced_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Windows does, done here by hand."""
    path, replace_ = logins.path_of(URL), Path.replace
    refusals = [PermissionError(13, "in use")] * 3

    def refused(self: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace_(self, target)

    monkeypatch.setattr(Path, "replace", refused)
    monkeypatch.setattr(logins, "IN_USE_S", 0)
    logins.save(LOGIN, path)
    assert logins.load(URL) == LOGIN
    refusals += [PermissionError(13, "in use")] * 1000
    with pytest.raises(NoAccount, match="the login cannot be kept"):
        logins.save(LOGIN, path)


@pytest.mark.parametrize("name", ["url", "access_token", "obtained_at", "is_used_up"])
@pytest.mark.parametrize("value", [None, [], 1.5])
def test_a_file_that_is_damaged_is_told_and_not_repeated(name: str, value: object) -> None:
    path = logins.path_of(URL)
    logins.save(LOGIN, path)
    kept = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**kept, name: value}), encoding="utf-8")
    with pytest.raises(NoAccount) as caught:
        account_from({"CATALOGSYNC_URL": URL})
    assert str(caught.value) == f"{path}: the stored login is damaged; log in again with `catalogsync login`"


def test_a_login_is_used_for_its_own_address_only() -> None:
    logins.save(LOGIN, logins.path_of("https://other.kommo.com"))
    with pytest.raises(NoAccount, match=r"this login is for https://acme\.kommo\.com, not for "):
        account_from({"CATALOGSYNC_URL": "https://other.kommo.com"})


def test_an_account_without_a_token_is_its_stored_login() -> None:
    logins.save(LOGIN, logins.path_of(URL))
    assert account_from({"CATALOGSYNC_URL": "acme.kommo.com"}) == Account(URL, "access-1", "v2", LOGIN)
    assert account_of(URL, "", "v4", {}) == Account(URL, "access-1", "v4", LOGIN)


def test_a_token_in_the_environment_goes_before_a_stored_login(tmp_path: Path) -> None:
    logins.save(LOGIN, logins.path_of(URL))
    assert account_from({"CATALOGSYNC_URL": URL, "CATALOGSYNC_TOKEN": "mine"}) == Account(URL, "mine", "v2")
    path = tmp_path / "token"
    path.write_text("filed\n", encoding="utf-8")
    path.chmod(0o600)
    found = account_from({"CATALOGSYNC_URL": URL, "CATALOGSYNC_TOKEN": f"file:{path}"})
    assert found == Account(URL, "filed", "v2")


def test_the_account_of_a_configuration_file_names_its_own_settings() -> None:
    assert account_of("acme.kommo.com", "env:T", "", {"T": "x"}) == Account(URL, "x", "v2")
    assert account_of("emulator", "", "v4", {}) == Account("emulator", "", "v4")
    cases = {
        ("http://a.b", "env:T", "v2"): "account.url=http://a.b would send the token unencrypted; write https://",
        ("ftp://x", "env:T", "v2"): "account.url=ftp://x is not an address like https://YOUR-ACCOUNT.kommo.com",
        ("https://x:y", "env:T", "v2"): "account.url is not an address like https://YOUR-ACCOUNT.kommo.com",
        (URL, "env:T", "v3"): "account.api=v3: this version speaks v2 and v4",
        (URL, "env:NONE", "v2"): "account.token is to come from the environment's NONE, which is not set",
        (URL, "eyJ", "v2"): (
            "account.token is not env:NAME, file:PATH or keyring:NAME; the secret itself does not belong there"
        ),
        (URL, "", "v2"): (
            "account.token is not set, and there is no login for https://acme.kommo.com. Ways out:\n"
            "  token: env:NAME, file:PATH or keyring:NAME with the account's long-lived token\n"
            "  catalogsync login --url https://acme.kommo.com"
        ),
    }  # fmt: skip
    for (url, reference, api), words in cases.items():
        with pytest.raises(UserError) as caught:
            account_of(url, reference, api, {"T": "x"})
        assert str(caught.value) == words


def test_with_a_keyring_the_file_holds_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_keyring(tmp_path, monkeypatch)
    login, path = replace(LOGIN, in_keyring=True), logins.path_of(URL)
    logins.save(login, path)
    assert logins.load(URL) == login
    assert "access-1" not in path.read_text("utf-8")
    assert "refresh-1" not in path.read_text("utf-8")
    assert logins.forget(URL)
    assert not logins.forget(URL)
    assert [secretrefs.keyring_get(f"{URL} {kind}") for kind in ("access", "refresh")] == [None, None]


def test_a_save_into_the_keyring_that_is_cut_off_has_kept_the_refresh_token_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_keyring(tmp_path, monkeypatch)
    login, path = replace(LOGIN, in_keyring=True), logins.path_of(URL)
    logins.save(login, path)
    keep = secretrefs.keyring_set

    def only_the_first(name: str, secret: str) -> None:
        if "access" in name:
            raise KeyboardInterrupt
        keep(name, secret)

    monkeypatch.setattr(secretrefs, "keyring_set", only_the_first)
    with pytest.raises(KeyboardInterrupt):
        logins.save(login.with_pair("access-2", "refresh-2", 0, 0), path)
    assert logins.load(URL) == replace(login, refresh_token="refresh-2")


def test_a_keyring_that_lost_the_token_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = fake_keyring(tmp_path, monkeypatch)
    logins.save(replace(LOGIN, in_keyring=True), logins.path_of(URL))
    kept.unlink()
    with pytest.raises(NoAccount) as caught:
        account_from({"CATALOGSYNC_URL": URL})
    words = f"the keyring no longer holds the login of {URL}; log in again: catalogsync login --url {URL}"
    assert str(caught.value) == words


def test_whoever_waits_too_long_for_the_lock_is_told() -> None:
    path = logins.path_of(URL)
    with logins.locked(path), pytest.raises(CatalogBusy, match=r"acme\.kommo\.com"), logins.locked(path, 0):
        pytest.fail("two at once")


@pytest.mark.parametrize(
    ("claims", "expires_at"),
    [
        ({"exp": 1_760_000_000}, 1_760_000_000),
        ({"exp": 1.5}, 1),
        ({}, 0),
        ([], 0),
        ({"exp": "1"}, 0),
        ({"exp": True}, 0),
    ],
)
def test_a_token_says_when_it_ends(claims: object, expires_at: int) -> None:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert logins.expires_at(f"eyJ.{part}.x") == expires_at


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.é.c", "..", "a.eyI.c"])
def test_a_token_that_is_no_jwt_says_nothing(token: str) -> None:
    assert logins.expires_at(token) == 0
