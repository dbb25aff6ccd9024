"""``catalogsync login``: let this machine into an account, check a long-lived token, forget a login."""

from __future__ import annotations

import os
import secrets
import sys
import time
import webbrowser
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from catalogsync.cli import common, printable
from catalogsync.errors import NoAccount, UserError

if TYPE_CHECKING:
    from catalogsync.api.account import AccountFacts
    from catalogsync.api.logins import Login

REDIRECT_URI = "http://127.0.0.1:8765/"


@click.command("login")
@common.option("--url", metavar="ADDRESS", help="The account: https://YOUR-ACCOUNT.kommo.com.")
@common.option("--client-id", metavar="ID", help="The integration's id.")
@common.option("--client-secret", metavar="REFERENCE", help="Its secret: env:NAME, file:PATH or keyring:NAME.")
@common.option("--redirect-uri", metavar="ADDRESS", help=f"What it has registered; {REDIRECT_URI} by default.")
@common.option("--paste", is_flag=True, help="No browser on this machine: paste the code from another one.")
@common.option("--keyring", is_flag=True, help="Keep the tokens in the system's keyring instead of a file.")
@common.option("--token", env=False, metavar="REFERENCE", help="Check a long-lived token: env:NAME or file:PATH.")
@common.option("--forget", env=False, is_flag=True, help="Remove what is kept of the login.")
@common.json_option
@common.rate_options
def command(
    url: str | None,
    client_id: str | None,
    client_secret: str | None,
    redirect_uri: str | None,
    paste: bool,
    keyring: bool,
    token: str | None,
    forget: bool,
    as_json: bool,
    rps: float,
    quiet: bool,
) -> int:
    """Log in to an account, or check its long-lived token.

    Afterwards CATALOGSYNC_URL alone names the account; the token is renewed by itself. To log in again, --url is
    enough. No secret is ever an argument: --client-secret and --token say where it is.
    """
    from catalogsync.api.auth import EMULATOR, base_url

    if not url:
        raise NoAccount("which account? Give --url https://YOUR-ACCOUNT.kommo.com")
    if url.strip() == EMULATOR:
        raise UserError("the embedded emulator needs no login")
    address = base_url(url.strip(), "--url")
    if forget:
        return _forget(address, as_json=as_json)
    if token:
        return _check_token(address, token, keyring=keyring, as_json=as_json, rps=rps)
    login = _integration(address, client_id, client_secret, redirect_uri, in_keyring=keyring)
    code = _code(login, paste=paste, quiet=quiet)
    return _log_in(login, code, as_json=as_json, rps=rps)


def _forget(url: str, *, as_json: bool) -> int:
    from catalogsync.api import logins

    was_there = logins.forget(url)
    if as_json:
        common.print_json({"url": url, "forgotten": was_there})
    else:
        click.echo(f"The login of {url} was removed." if was_there else f"There is no login of {url}.")
    if was_there:
        common.say("Who has a copy of its tokens is still let in: remove the integration's access in the account.")
    return 0


# --- a long-lived token --------------------------------------------------------------------------------------


def _check_token(url: str, reference: str, *, keyring: bool, as_json: bool, rps: float) -> int:
    from catalogsync import secretrefs
    from catalogsync.api import logins
    from catalogsync.api.auth import Account
    from catalogsync.api.logins import Login

    reference = secretrefs.checked(reference, "--token")
    token = secretrefs.resolve(reference, os.environ)
    facts = _account(Account(url, token), rps=rps)
    expires_at = logins.expires_at(token)
    lines = [f"The token of {facts.name} (account {facts.id}) is accepted{_until(expires_at)}."]
    if keyring:
        login = Login(url, in_keyring=True).with_pair(token, "", time.time(), 0)
        logins.replace_login(replace(login, expires_at=expires_at))
        lines.append("It is kept in the keyring.")
        setting = {"CATALOGSYNC_URL": url}
    else:
        setting = {"CATALOGSYNC_URL": url, "CATALOGSYNC_TOKEN": reference}
    _tell(url, facts, expires_at, lines, setting, as_json=as_json)
    return 0


# --- OAuth ---------------------------------------------------------------------------------------------------


def _integration(
    url: str, client_id: str | None, client_secret: str | None, redirect_uri: str | None, *, in_keyring: bool
) -> Login:
    """The integration as it is given, else as it was at the last login. Its secret and the keyring are tried now."""
    from catalogsync import secretrefs
    from catalogsync.api import logins
    from catalogsync.api.logins import Login

    known = logins.settings_of(url) or Login(url)
    client_id, client_secret = client_id or known.client_id, client_secret or known.client_secret
    if not client_id or not client_secret:
        raise NoAccount(
            "a login needs an integration of the account: --client-id ID and --client-secret env:NAME, file:PATH or "
            "keyring:NAME. With a long-lived token it needs none: --token file:PATH"
        )
    client_secret = secretrefs.checked(client_secret, "--client-secret")
    secretrefs.resolve(client_secret, os.environ, "the client secret")
    in_keyring = in_keyring or known.in_keyring
    if in_keyring:
        secretrefs.keyring_get(f"{url} access")
    redirect_uri = redirect_uri or known.redirect_uri or REDIRECT_URI
    return Login(url, client_id, client_secret, redirect_uri, in_keyring=in_keyring)


def _code(login: Login, *, paste: bool, quiet: bool) -> str:
    """The code of a consent, from the browser or from the terminal."""
    from catalogsync.api import loopback, oauth

    state = secrets.token_urlsafe(24)
    page = oauth.authorisation_page(login.url, login.client_id, login.redirect_uri, state)
    if paste:
        common.say(f"Open this address in any browser and let the integration in:\n  {page}")
        common.say("Then paste the address that the browser ends at, or the code in it (nothing is shown):")
        return oauth.pasted_code(_typed(), state, login.url)
    with loopback.waiting(login.redirect_uri, state) as waiting:
        is_open = webbrowser.open(page)
        if not quiet or not is_open:
            common.say(f"Let the integration in, in the browser. If none opened:\n  {page}")
        return oauth.code_of(waiting.next_query(), login.url)


def _typed() -> str:
    """A line from the terminal without showing it, or from a pipe."""
    if common.is_interactive():
        return str(click.prompt("Code", hide_input=True, err=True))
    return sys.stdin.readline() if sys.stdin is not None else ""


def _log_in(login: Login, code: str, *, as_json: bool, rps: float) -> int:
    from catalogsync.api import logins, oauth
    from catalogsync.api.auth import Account
    from catalogsync.errors import Refused

    try:
        pair = oauth.exchange(login, "authorization_code", code, os.environ, rps=rps)
    except Refused as error:
        why = f"the code is not accepted ({error.message})"
        raise NoAccount(f"{why}; is {login.redirect_uri} what the integration has registered?") from None
    login = login.with_pair(pair.access_token, pair.refresh_token, time.time(), pair.lifetime_s)
    path = logins.replace_login(login)
    facts = _account(Account(login.url, login.access_token, login=login), rps=rps)
    where = "the keyring" if login.in_keyring else str(path)
    lines = [
        f"Logged in to {facts.name} (account {facts.id}). The tokens are kept in {where}.",
        "They are renewed by themselves; a login that nobody uses for three months ends.",
    ]
    if login.client_secret.startswith("env:"):
        lines.append(
            f"To renew them {login.client_secret.removeprefix('env:')} has to be in the environment, each time."
        )
    _tell(login.url, facts, login.expires_at, lines, {"CATALOGSYNC_URL": login.url}, as_json=as_json)
    if os.environ.get("CATALOGSYNC_TOKEN"):
        common.say("warning: CATALOGSYNC_TOKEN is set and goes before this login; remove it to use the login.")
    return 0


# --- both ----------------------------------------------------------------------------------------------------


def _account(account: object, *, rps: float) -> AccountFacts:
    """What the account says of itself: one GET."""
    from catalogsync.api import account as accounts
    from catalogsync.api.auth import APIS, Account
    from catalogsync.api.client import connect

    assert isinstance(account, Account)
    api = os.environ.get("CATALOGSYNC_API", "").strip()
    with connect(account, rps=rps) as client:
        return accounts.read(client.send(accounts.REQUESTS[api if api in APIS else APIS[0]]))


def _until(expires_at: int) -> str:
    return time.strftime(" until %Y-%m-%d %H:%M", time.localtime(expires_at)) if expires_at else ""


def _tell(
    url: str, facts: AccountFacts, expires_at: int, lines: list[str], setting: dict[str, str], *, as_json: bool
) -> None:
    if as_json:
        told = {"url": url, "account": {"id": facts.id, "name": facts.name}}
        common.print_json({**told, "expires_at": expires_at or None, "environment": setting})
        return
    for line in lines:
        click.echo(printable(line))
    click.echo("Set in the environment:")
    for name, value in setting.items():
        click.echo(f"  {name}={value}")
