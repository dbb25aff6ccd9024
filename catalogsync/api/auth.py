"""The account: its address and its token, taken from the environment.

The token never appears in a `repr`, a message or a file of ours, and is never sent without encryption
except to this very machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from catalogsync.errors import NoAccount, UserError

APIS = ("v2", "v4")
"""The dialects of the remote API that may be chosen; the first is the default."""

EMULATOR = "emulator"
"""The value of ``CATALOGSYNC_URL`` that means the embedded emulator."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this very machine, the only ones reached without encryption."""

_HOW_TO = """no account is set. Ways out:
  CATALOGSYNC_URL=https://YOUR-ACCOUNT.kommo.com and CATALOGSYNC_TOKEN=… in the environment
  CATALOGSYNC_URL=emulator to try everything on the embedded emulator
  catalogsync demo to watch the main job first"""


@dataclass(frozen=True, slots=True)
class Account:
    """Where an account answers, by which dialect, and its token."""

    url: str
    token: str = field(repr=False)
    api: str = "v2"


def account_from(environment: Mapping[str, str]) -> Account:
    """The account that the environment names. Raises NoAccount, or UserError for an unusable address."""
    url = environment.get("CATALOGSYNC_URL", "").strip()
    token = environment.get("CATALOGSYNC_TOKEN", "").strip()
    api = environment.get("CATALOGSYNC_API", "").strip() or "v2"
    if not url:
        raise NoAccount(_HOW_TO)
    if api not in APIS:
        raise UserError(f"CATALOGSYNC_API={api}: this version speaks {' and '.join(APIS)}")
    if url == EMULATOR:
        return Account(EMULATOR, "", api)
    if not token:
        raise NoAccount("CATALOGSYNC_URL is set, CATALOGSYNC_TOKEN is not: put the account's long-lived token there")
    if not token.isascii() or not token.isprintable():
        raise UserError("CATALOGSYNC_TOKEN holds characters that no token has; copy it again")
    return Account(_base_url(url), token, api)


def _base_url(url: str) -> str:
    """The account's address without path; https unless it is this machine."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.username or parts.password:
        raise UserError("CATALOGSYNC_URL holds a name or password; only the address belongs there")
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise UserError(f"CATALOGSYNC_URL={url} is not an address like https://YOUR-ACCOUNT.kommo.com")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise UserError(f"CATALOGSYNC_URL={url} would send the token unencrypted; write https://")
    return f"{parts.scheme}://{parts.netloc}"
