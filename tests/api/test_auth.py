"""The account out of the environment: addresses, tokens, and what is refused."""

from __future__ import annotations

import pytest

from catalogsync.api.auth import Account, account_from
from catalogsync.errors import CatalogSyncError, NoAccount, UserError
from tests.api.helpers import TOKEN


def _refusal(**environment: str) -> str:
    with pytest.raises(UserError) as caught:
        account_from({f"CATALOGSYNC_{name}": value for name, value in environment.items()})
    assert TOKEN not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://acme.kommo.com", "https://acme.kommo.com"),
        ("  https://acme.kommo.com/  ", "https://acme.kommo.com"),
        ("acme.amocrm.ru", "https://acme.amocrm.ru"),
        ("https://acme.kommo.com/catalogs/4220/?a=b#c", "https://acme.kommo.com"),
        ("https://acme.kommo.com:8443", "https://acme.kommo.com:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080/x", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_address_is_reduced_to_its_base(url: str, base: str) -> None:
    environment = {"CATALOGSYNC_URL": url, "CATALOGSYNC_TOKEN": f" {TOKEN}\n"}
    assert account_from(environment) == Account(base, TOKEN, "v2")


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.kommo.com",
        "HTTP://acme.kommo.com",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://10.0.0.1:8080",
    ],
)
def test_an_unencrypted_address_elsewhere_is_refused(url: str) -> None:
    words = _refusal(URL=url, TOKEN=TOKEN)
    assert words == f"CATALOGSYNC_URL={url} would send the token unencrypted; write https://"


@pytest.mark.parametrize("url", ["https://", "ftp://acme.kommo.com", "https:///path", "://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    words = _refusal(URL=url, TOKEN=TOKEN)
    assert words == f"CATALOGSYNC_URL={url} is not an address like https://YOUR-ACCOUNT.kommo.com"


@pytest.mark.parametrize("url", [f"https://me:{TOKEN}@acme.kommo.com", f"https://{TOKEN}@acme.kommo.com"])
def test_a_secret_inside_the_address_is_refused_and_not_repeated(url: str) -> None:
    assert _refusal(URL=url) != ""
    words = _refusal(URL=url, TOKEN="t")
    assert words == "CATALOGSYNC_URL holds a name or password; only the address belongs there"


def test_no_account_names_the_ways_out_and_exits_7() -> None:
    with pytest.raises(NoAccount) as caught:
        account_from({"CATALOGSYNC_TOKEN": TOKEN})
    assert str(caught.value) == (
        "no account is set. Ways out:\n"
        "  CATALOGSYNC_URL=https://YOUR-ACCOUNT.kommo.com and CATALOGSYNC_TOKEN=… in the environment\n"
        "  catalogsync login --url https://YOUR-ACCOUNT.kommo.com, then CATALOGSYNC_URL alone\n"
        "  CATALOGSYNC_URL=emulator to try everything on the embedded emulator\n"
        "  catalogsync demo to watch the main job first"
    )
    assert caught.value.exit_code == 7


def test_an_address_without_a_token_is_no_account() -> None:
    words = (
        "CATALOGSYNC_URL is set, CATALOGSYNC_TOKEN is not, and there is no login for https://acme.kommo.com."
        " Ways out:\n"
        "  CATALOGSYNC_TOKEN=… with the account's long-lived token, or file:PATH or keyring:NAME where it is kept\n"
        "  catalogsync login --url https://acme.kommo.com"
    )
    assert _refusal(URL="https://acme.kommo.com") == words
    assert _refusal(URL="https://acme.kommo.com", TOKEN="  ") == words


@pytest.mark.parametrize("token", ["ключ", "two\nlines", "tab\tinside", "nul\x00", "“quoted”"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(token: str) -> None:
    words = _refusal(URL="https://acme.kommo.com", TOKEN=token)
    assert words == "CATALOGSYNC_TOKEN holds characters that no token has; copy it again"


def test_the_emulator_needs_no_token() -> None:
    assert account_from({"CATALOGSYNC_URL": "emulator"}) == Account("emulator", "", "v2")


@pytest.mark.parametrize("api", ["v3", "V2", "soap"])
def test_another_dialect_is_refused(api: str) -> None:
    assert _refusal(URL="emulator", API=api) == f"CATALOGSYNC_API={api}: this version speaks v2 and v4"


def test_the_token_is_not_in_the_repr_of_the_account() -> None:
    account = Account("https://acme.kommo.com", TOKEN)
    assert repr(account) == "Account(url='https://acme.kommo.com', api='v2')"
    assert str(account) == repr(account)
    assert issubclass(NoAccount, CatalogSyncError)
