"""Doctor: what is wrong with a machine, an account, a token or a mapping, and what to do. Sends GETs only.

Each check is told by itself, so that one that fails does not hide the others. What the API does not tell is said to be
not known, never guessed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import Literal

from catalogsync import fields, lock, mapping, planning, secretrefs
from catalogsync.api import account as accounts
from catalogsync.api import logins
from catalogsync.api.account import AccountFacts
from catalogsync.api.auth import APIS, Account
from catalogsync.api.client import Client
from catalogsync.api.dialect import Request, Response
from catalogsync.errors import ApiError, MappingError, Problem, Refused, Unauthorized, UserError
from catalogsync.journal import Journal
from catalogsync.mappingfile import load_draft
from catalogsync.model import Catalog, Schema
from catalogsync.pace import Pace
from catalogsync.plan import Plan
from catalogsync.state import state_folder

SKEW_S = 5.0
"""A clock this far off is told: runs tell old from new by the time."""

SOON_S = 14 * 86_400
"""A long-lived token that ends so soon is told."""

Verdict = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found: `what`, and the way out where something is to be done. `exit_code` is a problem's."""

    name: str
    verdict: Verdict
    what: str
    hint: str = ""
    exit_code: int = 0


@dataclass
class Session:
    """What later checks know from earlier ones."""

    account: Account
    client: Client
    rps: float
    facts: AccountFacts | None = None
    answers: list[Response] = field(default_factory=list)
    skews_s: list[float] = field(default_factory=list)

    def get(self, request: Request) -> Response:
        """Send a GET, and remember how long it took and what the server's clock said."""
        assert request.method == "GET"
        response = self.client.send(request)
        middle_at = time.time() - response.elapsed_s / 2
        self.answers.append(response)
        told = next((text for name, text in response.headers.items() if name.lower() == "date"), "")
        with contextlib.suppress(ValueError, TypeError):
            # the header's seconds are cut: half a second is missing on average
            self.skews_s.append(middle_at - parsedate_to_datetime(told).timestamp() - 0.5)
        return response


def ok(name: str, what: str) -> Check:
    return Check(name, "ok", what)


def warning(name: str, what: str, hint: str = "") -> Check:
    return Check(name, "warning", what, hint)


def problem(name: str, what: str, hint: str = "", exit_code: int = 1) -> Check:
    return Check(name, "problem", what, hint, exit_code)


# --- this machine --------------------------------------------------------------------------------------------


def machine() -> Iterator[Check]:
    """Whether there is a place to remember things in."""
    try:
        folder = state_folder()
        with TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        where = error.filename or "the state folder"
        yield problem("state folder", f"{where}: cannot be written ({error.strerror})", "CATALOGSYNC_STATE moves it")
    else:
        yield ok("state folder", f"{folder} can be written")


def versions() -> dict[str, str]:
    """Of this program, of Python, and of the libraries that it uses."""
    found = {"catalogsync": _version("catalogsync"), "python": platform.python_version(), "platform": sys.platform}
    try:
        required = importlib.metadata.requires("catalogsync") or []
    except importlib.metadata.PackageNotFoundError:
        required = []
    names = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in required if "extra ==" not in text]
    return found | {name: _version(name) for name in [*names, "keyring"]}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def left_behind(journal: Journal, account_id: int | None) -> Iterator[Check]:
    """Runs that ended early, and locks that are held or were left."""
    unfinished = journal.unfinished(account_id)
    if unfinished:
        numbers = ", ".join(map(str, unfinished))
        hint = f"catalogsync resume {unfinished[-1]}, or run the same import again"
        yield warning("runs", f"ended early, with something left to do: {numbers}", hint)
    else:
        yield ok("runs", "none ended early")
    owners = lock.owners(journal.folder)
    for name, who, is_held in owners:
        if is_held:
            yield warning("locks", f"catalog {name}: {who} is writing to it", "wait for its end")
        else:
            yield warning(
                "locks", f"catalog {name}: {who} ended without tidying up; nobody is kept out", "nothing to do"
            )
    if not owners:
        yield ok("locks", "nobody is writing")


# --- the token -----------------------------------------------------------------------------------------------


def token(account: Account, environment: Mapping[str, str], now_at: float) -> Iterator[Check]:
    """What kind of token there is, and until when by its own words."""
    login = account.login
    if login is None:
        yield _ends("token", "a long-lived token", logins.expires_at(account.token), now_at)
        if logins.path_of(account.url).exists():
            yield warning("login", "there is one of this address, and the token goes before it", "set only one of both")
        return
    if not login.client_id:
        yield _ends("token", "a long-lived token in the keyring", login.expires_at, now_at)
        return
    where = "in the keyring" if login.in_keyring else f"in {logins.path_of(login.url)}"
    until = f", the access token until {_time(login.expires_at)}" if login.expires_at else ""
    way_out = logins.way_out(login.url)
    if login.is_used_up or not login.is_renewable:
        words = f"a login, kept {where}, that can no longer be renewed{until}"
        is_over = login.expires_at <= now_at
        yield problem("token", words, way_out, 7) if is_over else warning("token", words, way_out)
    else:
        yield ok("token", f"a login, kept {where}, renewed by itself{until}")
    try:
        secretrefs.resolve(login.client_secret, environment, "the client secret")
    except UserError as error:
        yield problem("client secret", error.message, "without it the token cannot be renewed", 7)
    else:
        yield ok("client secret", f"found at {login.client_secret}")


def _ends(name: str, kind: str, expires_at: int, now_at: float) -> Check:
    if not expires_at:
        return ok(name, f"{kind}; when it ends is not known")
    hint = "make a new one in the account"
    if expires_at <= now_at:
        return problem(name, f"{kind}; it ended {_time(expires_at)}", hint, 7)
    if expires_at <= now_at + SOON_S:
        return warning(name, f"{kind}; it ends soon, {_time(expires_at)}", hint)
    return ok(name, f"{kind}, until {_time(expires_at)}")


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


# --- the account ---------------------------------------------------------------------------------------------


def account(session: Session) -> Iterator[Check]:
    """Which dialect answers, who the account is, what the token may do, and how far the clocks are apart.

    Nothing more is asked of an account that does not let the token in.
    """
    dialects = list(_dialects(session))
    if session.facts is None:
        yield from dialects
        return
    facts = session.facts
    zone = f", time zone {facts.timezone}" if facts.timezone else ""
    yield ok("account", f"{facts.name} (account {facts.id}){zone}")
    if not facts.timezone:
        yield warning("time zone", "the account does not name it", "set `timezone:` in the mapping")
    yield from dialects
    yield from _rights(session)
    yield from _clock(session)
    yield _pace(session)


def _dialects(session: Session) -> Iterator[Check]:
    """The chosen dialect has to answer; of the other one it is only told."""
    chosen = session.account.api
    for api in sorted(APIS, key=lambda each: each != chosen):
        name = f"API {api}"
        try:
            facts = accounts.read(session.get(accounts.REQUESTS[api]))
        except Unauthorized as error:
            yield problem(name, error.message, exit_code=7) if api == chosen else ok(name, f"not used: {error.message}")
        except ApiError as error:
            if api != chosen:
                yield ok(name, f"not used, and does not answer: {error.message}")
                continue
            others = " or ".join(other for other in APIS if other != api)
            hint = f"CATALOGSYNC_API={others} if that one answers" if isinstance(error, Refused) else "try again later"
            yield problem(name, error.message, hint)
        else:
            if api == chosen:
                session.facts = facts
            yield ok(name, "answers, and is used" if api == chosen else "answers, not used")
        if api == chosen and session.facts is None and not session.answers:
            return


def _rights(session: Session) -> Iterator[Check]:
    """What the token may do, as far as reading can tell."""
    try:
        catalogs = session.client.catalogs()
    except ApiError as error:
        yield _failed("lists", error, "the token's user needs the right to lists")
        return
    yield ok("lists", f"{len(catalogs)} can be read" + (f": {_listed(catalogs)}" if catalogs else ""))
    assert session.facts is not None
    told = _user(session, session.facts.user_id)
    if told is None:
        yield ok("writing", "not known before it is tried: the API does not tell whether elements may be changed")
        yield ok("fields", "not known before it is tried: creating fields and options takes an administrator")
    elif told:
        yield ok("writing", "the token's user is an administrator and may change elements")
        yield ok("fields", "the token's user is an administrator and may create fields and options")
    else:
        yield ok("writing", "not known before it is tried: it takes the right to lists")
        yield warning("fields", "the token's user is no administrator: fields and options cannot be created")


def _listed(catalogs: list[Catalog]) -> str:
    return ", ".join(f"{each.id} ({each.name})" for each in catalogs)


def _user(session: Session, user_id: int) -> bool | None:
    """Whether the token's user is an administrator; None where that cannot be told.

    The vendor answers this to administrators only (``https://developers.kommo.com/reference/users-list``).
    """
    if not user_id:
        return None
    try:
        body = session.client.send(Request("GET", f"/api/v4/users/{user_id}")).json
    except Unauthorized as error:
        return False if error.status == 403 else None
    except ApiError:
        return None
    rights = body.get("rights") if isinstance(body, dict) else None
    told = rights.get("is_admin") if isinstance(rights, dict) else None
    return told if isinstance(told, bool) else None


def _clock(session: Session) -> Iterator[Check]:
    if not session.skews_s:
        yield ok("clock", "not known: the server does not tell its time")
        return
    skew_s = median(session.skews_s)
    if abs(skew_s) <= SKEW_S:
        yield ok("clock", "this machine's and the server's agree")
        return
    side = "ahead of" if skew_s > 0 else "behind"
    yield warning("clock", f"this machine's is {abs(skew_s):.0f} s {side} the server's", "let the system set the time")


def _pace(session: Session) -> Check:
    took_s = median(answer.elapsed_s for answer in session.answers)
    pace = f"at most {Pace(session.rps).rps:.1f} requests a second" if session.rps else "no limit on the rate"
    return ok("pace", f"{took_s * 1000:.0f} ms for an answer; {pace}")


def _failed(name: str, error: ApiError, hint: str) -> Check:
    is_unauthorised = isinstance(error, Unauthorized)
    return problem(name, error.message, hint if is_unauthorised else "", 7 if is_unauthorised else 1)


# --- the mapping ---------------------------------------------------------------------------------------------


def mapping_file(path: Path, client: Client, journal: Journal) -> Iterator[Check]:
    """Whether a mapping still fits the catalog, and what changed there since it was last used."""
    try:
        draft = load_draft(path)
    except MappingError as error:
        yield from _told(error.problems or [Problem("", error.message)])
        return
    yield from _told(draft.problems)
    if draft.file is None or not draft.file.catalog:
        return
    try:
        catalog = client.catalog(draft.file.catalog)
        schema = planning.schema_for(client, catalog, draft.file)
    except UserError as error:
        yield from _told([draft.file.problem(("catalog",), error.message)])
        return
    except ApiError as error:
        yield _failed("mapping", error, "the token's user needs the right to lists")
        return
    fitted = mapping.fit(draft.file, schema)
    yield from _told(fitted.problems)
    for column in fitted.mapping.columns:
        if column.field is not None and not fields.is_known(column.field):
            what = f"“{column.field.name}” is of type {column.type}, which this version carries as text"
            yield warning("mapping", what)
    yield from _drift(draft.file.path.stem, schema, journal)
    if not draft.problems and not fitted.problems:
        yield ok("mapping", f"{path} fits {schema.catalog_name} (catalog {schema.catalog_id})")


def _told(problems: tuple[Problem, ...] | list[Problem]) -> Iterator[Check]:
    for found in problems:
        where = f"{found.where}: " if found.where else ""
        yield problem("mapping", f"{where}{found.what}", found.hint)


def _drift(name: str, schema: Schema, journal: Journal) -> Iterator[Check]:
    """What became of the fields that the mapping's last run filled."""
    last = next(
        (
            run["id"]
            for run in journal.runs()
            if (run["account_id"], run["catalog_id"], run["mapping"]) == (schema.account_id, schema.catalog_id, name)
        ),
        None,
    )
    run = None if last is None else journal.run(int(last))
    if run is None:
        return
    for what in _changes(run.plan, schema):
        yield warning("drift", f"since run {run.id} {what}", "look at the next plan before you apply it")


def _changes(plan: Plan, schema: Schema) -> Iterator[str]:
    known = {str(each.id): each for each in schema.fields}
    for key, shown in plan.columns.items():
        now = known.get(key.partition(".")[0])
        if not key.partition(".")[0].isdecimal():
            continue
        if now is None:
            yield f"the field of “{shown.title}” ({key}) is gone"
        elif now.type != shown.type and not {now.type, shown.type} <= fields.NUMBER_TYPES:  # dialects name these apart
            yield f"“{now.name}” ({now.id}) became {now.type}; it was {shown.type}"
        else:
            gone = [caption for id_, caption in shown.captions.items() if id_.isdecimal() and int(id_) not in now.enums]
            if gone:
                yield f"“{now.name}” ({now.id}) lost the options {', '.join(gone)}"
