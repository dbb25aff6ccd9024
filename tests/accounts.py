"""What the tests of logins share: an account with an integration, a login of it, and processes that use it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalogsync.api import logins, oauth
from catalogsync.api.logins import Login
from catalogsync.emulator.oauth import ACCESS_S
from catalogsync.emulator.server import Emulator
from tests.e2e.conftest import catalog_of

SECRET = "the-integrations-secret-that-nobody-may-see"
INTEGRATION = {"client_id": "me", "client_secret": SECRET, "redirect_uri": "http://127.0.0.1:8765/", "code": "once"}
FIELDS = [
    {"id": 4400049, "name": "Vendor code", "code": "SKU", "type": "text"},
    {"id": 4400051, "name": "Price", "code": "PRICE", "type": "price"},
]
TOKENS = "/oauth2/access_token"


def account() -> dict[str, Any]:
    """A seed: a list called Products, and an integration."""
    return {**catalog_of(FIELDS), "oauth": INTEGRATION}


def login_of(emulator: Emulator, *, age_s: int = 0, code: str = "", in_keyring: bool = False) -> Login:
    """Log in and keep it, as `age_s` seconds ago by this machine's clock. Needs CLIENT_SECRET in the environment."""
    login = Login(emulator.url, "me", "env:CLIENT_SECRET", INTEGRATION["redirect_uri"], in_keyring=in_keyring)
    grant = code or emulator.issue_code()
    pair = oauth.exchange(login, "authorization_code", grant, os.environ, rps=0)
    login = login.with_pair(pair.access_token, pair.refresh_token, 0, pair.lifetime_s)
    return aged(login, age_s)


def aged(login: Login, age_s: int) -> Login:
    """The same login, kept as if it had been made so long ago."""
    made_at = int(time.time()) - age_s
    login = replace(login, obtained_at=made_at, expires_at=made_at + ACCESS_S)
    logins.save(login, logins.path_of(login.url))
    return login


def stored(emulator: Emulator) -> Login:
    """The login as it is kept."""
    login = logins.load(emulator.url)
    assert login is not None
    return login


def refreshes(emulator: Emulator) -> list[int | None]:
    """The statuses of the requests to the token endpoint so far, but for the login itself."""
    return [
        request.status
        for request in emulator.requests
        if request.path == TOKENS and (request.body or {}).get("grant_type") == "refresh_token"
    ]


def revoke(emulator: Emulator) -> None:
    """From now on the server accepts no access token that it gave out."""
    emulator.store.change("DELETE FROM grants WHERE kind = 'access_token'")


USES = """
import os, signal, sys
from catalogsync.api import credentials, logins
from catalogsync.api.auth import account_from
from catalogsync.api.dialect import Request
from catalogsync.api.transport import Authorized, HttpTransport, credentials_of

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

{before}
account = account_from(os.environ)
known = credentials_of(account)
transport = Authorized(HttpTransport(account, credentials=known), known)
print("ready", flush=True)
sys.stdin.readline()
print(transport.send(Request("GET", "/api/v2/account")).status, flush=True)
"""


def user_of(emulator: Emulator, before: str = "") -> subprocess.Popen[str]:
    """A process that has read its login and, told to go on, sends one request. `before` is code that it runs first."""
    environment = {
        **os.environ,
        "CATALOGSYNC_URL": emulator.url,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[1]), *sys.path])),
    }
    child = subprocess.Popen(
        [sys.executable, "-c", USES.replace("{before}", before)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n", child.communicate()
    return child


KEYRING = """
import json
from pathlib import Path

FILE = Path(__file__).with_name("keyring.json")


def _read():
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def get_password(service, name):
    return _read().get(f"{service} {name}")


def set_password(service, name, secret):
    FILE.write_text(json.dumps({**_read(), f"{service} {name}": secret}))


def delete_password(service, name):
    FILE.write_text(json.dumps({known: secret for known, secret in _read().items() if known != f"{service} {name}"}))
"""


def fake_keyring(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `keyring` that keeps its secrets in a file, for this process and those that it starts.

    The tests leave the keyring of the person who runs them alone, and most test machines have none. Its file.
    """
    home = folder / "keyring-of-a-test"
    home.mkdir()
    (home / "keyring.py").write_text(KEYRING, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    monkeypatch.syspath_prepend(str(home))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(home), os.environ.get("PYTHONPATH")])))
    return home / "keyring.json"
