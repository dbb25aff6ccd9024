"""OAuth 2 as the vendor speaks it: the page where a person lets an integration in, and the token endpoint.

Facts: notes 2; ``https://developers.kommo.com/docs/oauth-20``, ``https://www.amocrm.ru/developers/content/oauth/step-by-step``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from catalogsync import secretrefs
from catalogsync.api import logins
from catalogsync.api.auth import LOOPBACK, Account
from catalogsync.api.dialect import Request, Response
from catalogsync.api.limited import RateLimited, turns_file
from catalogsync.api.logins import Login
from catalogsync.api.transport import HttpTransport, Retrying, Transport
from catalogsync.errors import ApiError, InDoubt, NoAccount, Temporary, UnexpectedAnswer, UserError
from catalogsync.pace import Pace

TOKEN_PATH = "/oauth2/access_token"  # noqa: S105 - the address where tokens are asked for

SENDINGS = 3
"""How often one grant is sent where no answer comes: whether it was used up can only be found out by using it."""

PAGES = {
    "kommo.com": "https://www.kommo.com/oauth",
    "amocrm.com": "https://www.kommo.com/oauth",
    "amocrm.ru": "https://www.amocrm.ru/oauth",
}
"""Where a person lets an integration in, by the end of the account's address."""


ANSWER_S = 30.0
"""How long the token endpoint may take."""


class GrantLost(NoAccount):
    """A grant works once, and the answer to its use was lost: only a person can log in again."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What the token endpoint gives. `lifetime_s` is that of the access token, 0 where it is not known."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    lifetime_s: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class _NoToken:
    """The token endpoint wants none; what is sent to it is kept out of messages all the same."""

    _secrets: tuple[str, ...]
    _url: str

    def refusal(self, told: str) -> str:
        way_out = f"check both in the account's integration, then {logins.way_out(self._url)}"
        return f"the integration's id or secret is not accepted ({told}); {way_out}"

    def token(self) -> str:
        return ""

    def secrets(self) -> tuple[str, ...]:
        return self._secrets

    def keep_fresh(self) -> None:
        """There is no token that could grow old."""

    def renewed(self, refused: str) -> bool:
        return False


def authorisation_page(url: str, client_id: str, redirect_uri: str, state: str) -> str:
    """The address at which a person lets the integration into an account. Raises UserError for an unknown host.

    The vendor sends the browser to the address that the integration has registered; the emulator, which has no such
    register unless its seed says so, is told it.
    """
    host = urlsplit(url).hostname or ""
    asked = {"client_id": client_id, "state": state, "mode": "popup"}
    if host in LOOPBACK:
        return f"{url}/oauth?{urlencode({**asked, 'redirect_uri': redirect_uri})}"
    page = next((page for end, page in PAGES.items() if host.endswith(f".{end}")), None)
    if page is None:
        ends = " and ".join(f"*.{end}" for end in PAGES)
        raise UserError(f"{url}: a login works for accounts at {ends}; elsewhere use a long-lived token")
    return f"{page}?{urlencode(asked)}"


def exchange(login: Login, grant_type: str, grant: str, environment: Mapping[str, str], *, rps: float) -> Pair:
    """Exchange a grant (a code or a refresh token) for a pair of tokens.

    Where no answer comes, the grant is sent again: it may still be good. Raises Temporary where it may still be so,
    GrantLost where it was used up by an answer that never came, Refused or Unauthorized for a plain no, and NoAccount
    where the client secret cannot be had.
    """
    secret = secretrefs.resolve(login.client_secret, environment, "the client secret")
    name = {"authorization_code": "code", "refresh_token": "refresh_token"}[grant_type]
    body = {
        "client_id": login.client_id,
        "client_secret": secret,
        "grant_type": grant_type,
        name: grant,
        "redirect_uri": login.redirect_uri,
    }
    account = Account(login.url, "")
    secrets = tuple(filter(None, (secret, grant, login.access_token, login.refresh_token)))
    transport: Transport = HttpTransport(account, credentials=_NoToken(secrets, login.url), read_timeout_s=ANSWER_S)
    if rps:
        transport = RateLimited(transport, turns_file=turns_file(login.url), pace=Pace(rps))
    transport = Retrying(transport, attempts=SENDINGS)
    try:
        return _sent(transport, Request("POST", TOKEN_PATH, json=body, is_repeatable=False), login.url)
    finally:
        transport.close()


def _sent(transport: Transport, request: Request, url: str) -> Pair:
    lost = ""
    for _ in range(SENDINGS):
        try:
            return _pair(transport.send(request))
        except (InDoubt, UnexpectedAnswer) as error:
            lost = error.message
        except ApiError as error:
            if lost and error.status == 400:
                what = f"the server gave new tokens, but its answer was lost ({lost})"
                raise GrantLost(f"{what}; {logins.way_out(url)}") from None
            raise
    raise Temporary(lost)


def _pair(response: Response) -> Pair:
    told = response.json if isinstance(response.json, dict) else {}
    access_token, refresh_token, lifetime_s = (
        told.get(name) for name in ("access_token", "refresh_token", "expires_in")
    )
    for token in (access_token, refresh_token):
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise UnexpectedAnswer("the answer holds no pair of tokens", status=response.status)
    return Pair(str(access_token), str(refresh_token), lifetime_s if isinstance(lifetime_s, int) else 0)


def code_of(query: Mapping[str, str], url: str) -> str:
    """The code that the browser brings back: of a consent to this account, and to no other one.

    `query` has ``code``, ``referer`` (the account's host), or ``error``. Raises NoAccount.
    """
    if error := query.get("error"):
        raise NoAccount(f"the integration was not let in ({error[:100]}); log in again to be asked again")
    referer, host = query.get("referer", "").lower(), urlsplit(url).netloc.lower()
    if referer and referer != host:
        raise NoAccount(f"the integration was let into {referer[:100]}, and the login is for {host}; nothing was kept")
    return secretrefs.usable(query.get("code", ""), "the code")


def pasted_code(text: str, state: str, url: str) -> str:
    """The code out of what a person pasted: the code itself, or the whole address that the browser was sent to."""
    text = text.strip()
    if "code=" not in text and "error=" not in text:
        return secretrefs.usable(text, "the code")
    query = dict(parse_qsl(urlsplit(text).query, keep_blank_values=True))
    if query.get("state") != state:
        raise NoAccount("this address belongs to another login; open the one that was printed just now")
    return code_of(query, url)
