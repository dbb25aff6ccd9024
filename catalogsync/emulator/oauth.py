"""``POST /oauth2/access_token``: a code or a refresh token becomes a pair of tokens (api notes 2).

``GET /oauth`` is the page where somebody lets an integration in: here everybody does so at once.

A code is good for 20 minutes and an access token for 24 hours by the server's clock; a refresh token
works once, within three months. Long-lived tokens, which need none of this, are those of the store.
"""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

from catalogsync.emulator.forms import read_form
from catalogsync.emulator.store import Store
from catalogsync.emulator.wire import Answer, Api, Call, Refused, allowing, as_json, problem

PATH = "/oauth2/access_token"
PAGE = "/oauth"
CODE_S = 20 * 60
ACCESS_S = 24 * 60 * 60
REFRESH_S = 90 * ACCESS_S
CLIENT = "oauth_client"
#: grant_type -> which of the body's words carries the grant.
GRANTS = {"authorization_code": "code", "refresh_token": "refresh_token"}


def issue(store: Store, kind: str, now_s: int, token: str | None = None) -> str:
    """A new code, or refresh token, for the account's user."""
    token = token or secrets.token_urlsafe(48)
    until = now_s + {"code": CODE_S, "refresh_token": REFRESH_S, "access_token": ACCESS_S}[kind]
    store.change("INSERT OR REPLACE INTO grants VALUES (?, ?, ?)", (token, kind, until))
    return token


def lets_in(store: Store, token: str, now_s: int) -> bool:
    """Whether this is an access token that has not expired."""
    found = store.read("SELECT 1 FROM grants WHERE token = ? AND kind = 'access_token' AND until_s > ?", (token, now_s))
    return bool(found)


def answer(api: Api, call: Call) -> Answer:
    """The token endpoint. A refusal uses nothing up."""
    if call.method != "POST":
        return allowing(["POST"], problem(405, "Only POST is supported"))
    body = _body(call)
    if body is None:
        return problem(400, "The body is neither a JSON object nor a form")
    word = GRANTS.get(str(body.get("grant_type")))
    if word is None:
        return problem(400, f"grant_type is one of {', '.join(GRANTS)}")
    for name in ("client_id", "client_secret", word, "redirect_uri"):
        if not isinstance(body.get(name), str) or not body[name]:
            return problem(400, f"Required parameter missing: {name}")
    for name, known in client(api.store).items():
        if body[name] != known:
            return problem(400 if name == "redirect_uri" else 401, f"Not the integration's: {name}")
    with api.store.transaction():
        if not _take(api, word, body[word]):
            return problem(400, f"The {word.replace('_', ' ')} is unknown, expired, or was used already")
        pair = {
            "token_type": "Bearer",
            "expires_in": ACCESS_S,
            "server_time": api.now(),
            "access_token": issue(api.store, "access_token", api.now(), _jwt(api, body["client_id"], call)),
            "refresh_token": issue(api.store, "refresh_token", api.now()),
        }
    return as_json(200, pair, "application/json")


def let_in(api: Api, call: Call) -> Answer:
    """The page of consent: on to the integration's address with ``code``, ``state``, ``referer``, ``client_id``.

    An integration that the seed does not name may say its address itself (``redirect_uri``).
    """
    if call.method != "GET":
        return allowing(["GET"], problem(405, "Only GET is supported"))
    known = client(api.store)
    client_id, state = call.argument("client_id") or "", call.argument("state") or ""
    redirect_uri = known.get("redirect_uri") or call.argument("redirect_uri") or ""
    if not client_id or known.get("client_id", client_id) != client_id:
        return problem(400, "Not the integration's: client_id")
    is_plain = redirect_uri.isascii() and redirect_uri.isprintable()
    if not is_plain or urlsplit(redirect_uri).scheme not in ("http", "https"):
        return problem(400, "Required parameter missing: redirect_uri")
    told = {"code": issue(api.store, "code", api.now()), "state": state, "referer": urlsplit(call.base).netloc}
    query = urlencode({**told, "client_id": client_id, "platform": "1"})
    joint = "&" if urlsplit(redirect_uri).query else "?"
    return Answer(302, headers=(("Location", f"{redirect_uri}{joint}{query}"),))


def client(store: Store) -> dict[str, str]:
    """What the seed says about the integration; what it does not say, every request may choose."""
    return {name: str(told) for name, told in (store.setting(CLIENT) or {}).items()}


def _body(call: Call) -> dict[str, Any] | None:
    try:
        form = read_form(call)
        body = json.loads(call.body) if form is None else form
    except (ValueError, RecursionError, Refused):
        return None
    return body if isinstance(body, dict) else None


def _take(api: Api, kind: str, token: str) -> bool:
    """Uses a grant up."""
    store, now_s = api.store, api.now()
    store.change("DELETE FROM grants WHERE until_s <= ?", (now_s,))
    wanted = (token.encode("utf-8", "replace").decode(), kind)
    found = store.read("SELECT 1 FROM grants WHERE token = ? AND kind = ?", wanted)
    store.change("DELETE FROM grants WHERE token = ? AND kind = ?", wanted)
    return bool(found)


def _jwt(api: Api, client_id: str, call: Call) -> str:
    """An access token with the claims that clients read; nobody has signed it."""
    now_s, account = api.now(), api.store.account
    claims = {"aud": client_id, "iat": now_s, "exp": now_s + ACCESS_S, "sub": str(account.user_id)}
    claims |= {"account_id": account.id, "jti": secrets.token_hex(16)}
    parts = [json.dumps({"typ": "JWT", "alg": "RS256"}).encode(), json.dumps(claims).encode(), secrets.token_bytes(64)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
