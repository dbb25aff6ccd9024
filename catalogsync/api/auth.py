"""The account: its address and its token, taken from the environment, a reference, or a stored login.

The token never appears in a `repr`, a message or a file of ours, and is never sent without encryption
except to this very machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from catalogsync import secretrefs
from catalogsync.api import logins
from catalogsync.api.logins import Login
from catalogsync.errors import NoAccount, UserError

APIS = ("v2", "v4")
"""The dialects of the remote API that may be chosen; the first is the default."""

EMULATOR = "emulator"
"""The value of ``CATALOGSYNC_URL`` that means the embedded emulator."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this very machine, the only ones reached without encryption."""

_HOW_TO = """no account is set. Ways out:
  CATALOGSYNC_URL=https://YOUR-ACCOUNT.kommo.com and CATALOGSYNC_TOKEN=… in the environment
  catalogsync login --url https://YOUR-ACCOUNT.kommo.com, then CATALOGSYNC_URL alone
  CATALOGSYNC_URL=emulator to try everything on the embedded emulator
  catalogsync demo to watch the main job first"""


_NO_LOGIN = """CATALOGSYNC_URL is set, CATALOGSYNC_TOKEN is not, and there is no login for {url}. Ways out:
  CATALOGSYNC_TOKEN=… with the account's long-lived token, or file:PATH or keyring:NAME where it is kept
  catalogsync login --url {url}"""


_NO_REFERENCE = """account.token is not set, and there is no login for {url}. Ways out:
  token: env:NAME, file:PATH or keyring:NAME with the account's long-lived token
  catalogsync login --url {url}"""


@dataclass(frozen=True, slots=True)
class Account:
    """Where an account answers, by which dialect, and its token; or the stored login that has it."""

    url: str
    token: str = field(repr=False)
    api: str = "v2"
    login: Login | None = field(default=None, repr=False)


def account_from(environment: Mapping[str, str]) -> Account:
    """The account that the environment names. Raises NoAccount, or UserError for an unusable address.

    CATALOGSYNC_TOKEN is the token itself or a reference to it; without it a stored login is used.
    """
    url = environment.get("CATALOGSYNC_URL", "").strip()
    token = environment.get("CATALOGSYNC_TOKEN", "").strip()
    api = environment.get("CATALOGSYNC_API", "").strip() or APIS[0]
    if not url:
        raise NoAccount(_HOW_TO)
    _check_api(api, "CATALOGSYNC_API")
    if url == EMULATOR:
        return Account(EMULATOR, "", api)
    if secretrefs.is_reference(token):
        return Account(base_url(url), secretrefs.resolve(token, environment, "CATALOGSYNC_TOKEN"), api)
    if token:
        return Account(base_url(url), secretrefs.usable(token, "CATALOGSYNC_TOKEN"), api)
    return _logged_in(base_url(url), api, _NO_LOGIN)


def account_of(url: str, token_reference: str, api: str, environment: Mapping[str, str]) -> Account:
    """The account of a configuration file. Without a reference a stored login is used.

    Raises NoAccount, or UserError for an unusable address or dialect; the words name the file's settings.
    """
    _check_api(api or APIS[0], "account.api")
    if url.strip() == EMULATOR:
        return Account(EMULATOR, "", api or APIS[0])
    base = base_url(url.strip(), "account.url")
    if not token_reference.strip():
        return _logged_in(base, api or APIS[0], _NO_REFERENCE)
    return Account(base, secretrefs.resolve(token_reference, environment, "account.token"), api or APIS[0])


def _logged_in(url: str, api: str, words: str) -> Account:
    login = logins.load(url)
    if login is None:
        raise NoAccount(words.format(url=url))
    return Account(url, login.access_token, api, login)


def _check_api(api: str, setting: str) -> None:
    if api not in APIS:
        raise UserError(f"{setting}={api}: this version speaks {' and '.join(APIS)}")


def base_url(url: str, setting: str = "CATALOGSYNC_URL") -> str:
    """The account's address without path; https unless it is this machine. Raises UserError, naming the setting."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        _ = parts.port
    except ValueError:
        raise UserError(f"{setting} is not an address like https://YOUR-ACCOUNT.kommo.com") from None
    if parts.username or parts.password:
        raise UserError(f"{setting} holds a name or password; only the address belongs there")
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise UserError(f"{setting}={url} is not an address like https://YOUR-ACCOUNT.kommo.com")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise UserError(f"{setting}={url} would send the token unencrypted; write https://")
    return f"{parts.scheme}://{parts.netloc}"
