"""Refresh tokens that work once: renewed in time, by one of many processes, and kept whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import pytest

from catalogsync.api import credentials, logins, refreshing
from catalogsync.api.auth import Account, account_from
from catalogsync.api.credentials import Stored
from catalogsync.api.dialect import Request
from catalogsync.api.logins import Login
from catalogsync.api.transport import Authorized, HttpTransport
from catalogsync.emulator.faults import Fault
from catalogsync.emulator.oauth import ACCESS_S, REFRESH_S
from catalogsync.emulator.server import Emulator
from catalogsync.errors import ApiError, Temporary, Unauthorized
from tests.accounts import SECRET, TOKENS, account, aged, login_of, refreshes, revoke, stored, user_of
from tests.api.helpers import CATALOG_ID, Clock

READ = Request("GET", "/api/v2/account")
WRITE = Request(
    "POST", "/api/v2/catalog_elements", json={"add": [{"catalog_id": CATALOG_ID, "name": "A"}]}, is_repeatable=False
)
Edge = Literal["before", "after"]
THIRTEEN_HOURS_S = 13 * 3600
posix = pytest.mark.skipif(sys.platform == "win32", reason="processes are killed with signals")


@pytest.fixture
def emulator(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    with Emulator(seed=account(), rps=0, clock=clock) as emulator:
        yield emulator


class Session:
    """The stored login of an account as a command uses it; `notices` are what it told."""

    def __init__(self, emulator: Emulator) -> None:
        self.notices: list[str] = []
        found = account_from({"CATALOGSYNC_URL": emulator.url})
        assert found.login is not None
        self.credentials = Stored(found.login, on_notice=self.notices.append)
        self.transport = Authorized(HttpTransport(found, credentials=self.credentials), self.credentials)

    def send(self, request: Request = READ) -> int:
        return self.transport.send(request).status


# --- when a token is renewed ---


def test_a_young_token_is_used_as_it_is(emulator: Emulator) -> None:
    login = login_of(emulator, age_s=ACCESS_S // 2 - 60)
    assert Session(emulator).send() == 200
    assert (refreshes(emulator), stored(emulator)) == ([], login)


def test_a_token_is_renewed_at_half_of_its_life_before_anything_is_refused(emulator: Emulator) -> None:
    old = login_of(emulator, age_s=ACCESS_S // 2 + 1)
    session = Session(emulator)
    assert [session.send(), session.send()] == [200, 200]
    assert refreshes(emulator) == [200]
    assert 401 not in [request.status for request in emulator.requests]
    new = stored(emulator)
    assert session.credentials.token() == new.access_token
    assert not {old.access_token, old.refresh_token, old.pair_id} & {new.access_token, new.refresh_token, new.pair_id}
    assert (new.url, new.client_id, new.client_secret, new.redirect_uri) == (
        old.url, old.client_id, old.client_secret, old.redirect_uri,
    )  # fmt: skip
    assert new.expires_at - new.obtained_at == ACCESS_S
    assert session.notices == []


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
def test_a_refused_token_is_renewed_and_the_request_is_sent_once_more(emulator: Emulator, request_: Request) -> None:
    login_of(emulator)
    session = Session(emulator)
    revoke(emulator)
    assert session.send(request_) == 200
    assert refreshes(emulator) == [200]
    assert [r.status for r in emulator.requests if r.path == request_.path] == [401, 200]
    assert emulator.store.count(CATALOG_ID) == (request_ is WRITE)


def test_a_token_that_another_process_renewed_is_taken_from_the_store(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    login_of(emulator)
    late = Session(emulator)
    revoke(emulator)
    assert Session(emulator).send() == 200
    monkeypatch.setattr(credentials, "_detached", lambda *_: pytest.fail("a process for nothing"))
    assert late.send() == 200
    assert refreshes(emulator) == [200]


def test_a_new_token_that_is_refused_too_ends_the_request(emulator: Emulator) -> None:
    login_of(emulator)
    emulator.fault("401 GET count=0")
    with pytest.raises(Unauthorized, match=f"log in again: catalogsync login --url {emulator.url}$"):
        Session(emulator).send()
    assert [request.path for request in emulator.requests][1:] == [READ.path, TOKENS, READ.path]


def test_a_token_without_rights_is_not_renewed(emulator: Emulator) -> None:
    login_of(emulator)
    emulator.fault("403 json GET")
    with pytest.raises(Unauthorized, match="the token may not do this"):
        Session(emulator).send()
    assert refreshes(emulator) == []


def test_the_token_endpoint_waits_its_turn_like_any_other_request(emulator: Emulator, state_folder: Path) -> None:
    login_of(emulator, age_s=THIRTEEN_HOURS_S)
    found = account_from({"CATALOGSYNC_URL": emulator.url})
    assert found.login is not None
    Stored(found.login, rps=7).keep_fresh()
    assert refreshes(emulator) == [200]
    assert (state_folder / "rate" / "127.0.0.1.sqlite").exists()


# --- what does not work ---


def test_a_refresh_that_does_not_work_ahead_of_time_is_told_and_the_old_token_is_used(emulator: Emulator) -> None:
    login = login_of(emulator, age_s=THIRTEEN_HOURS_S)
    emulator.fault(f"500 POST {TOKENS} count=0")
    session = Session(emulator)
    assert [session.send(), session.send()] == [200, 200]
    (notice,) = session.notices
    assert notice.startswith("the token cannot be renewed now: POST /oauth2/access_token: server error 500")
    assert ". The present token works until " in notice
    assert stored(emulator) == login


def test_no_answer_to_a_refresh_that_is_needed_is_temporary(emulator: Emulator) -> None:
    login = login_of(emulator)
    revoke(emulator)
    emulator.fault(f"drop before POST {TOKENS} count=0")
    with pytest.raises(Temporary, match=r"^the token cannot be renewed now: the connection broke"):
        Session(emulator).send()
    assert stored(emulator) == login
    emulator.faults.clear()
    assert Session(emulator).send() == 200


@pytest.mark.parametrize("fault", ["drop before", "500 before", "502 before", "504 before"])
def test_a_refresh_that_never_arrived_is_sent_again(emulator: Emulator, fault: str) -> None:
    login_of(emulator)
    revoke(emulator)
    emulator.fault(f"{fault} POST {TOKENS}")
    assert Session(emulator).send() == 200
    assert len(refreshes(emulator)) == 2


LOST = ["drop after", "504 after", "truncate", "garble", "garble=list"]


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_leaves_the_old_token_until_it_expires_and_is_told(emulator: Emulator, fault: str) -> None:
    login = login_of(emulator, age_s=THIRTEEN_HOURS_S)
    emulator.fault(f"{fault} POST {TOKENS}")
    session = Session(emulator)
    assert [session.send(), session.send()] == [200, 200]
    (notice,) = session.notices
    assert notice.startswith("the server gave new tokens, but its answer was lost (")
    assert f"); log in again: catalogsync login --url {emulator.url}. The present token works until " in notice
    assert stored(emulator) == replace(login, is_used_up=True)
    tried = len(refreshes(emulator))

    later = Session(emulator)
    assert later.send() == 200
    assert later.notices[0].startswith(f"the login of {emulator.url} can no longer be renewed; log in again:")
    assert len(refreshes(emulator)) == tried

    revoke(emulator)
    with pytest.raises(Unauthorized) as caught:
        Session(emulator).send()
    assert caught.value.exit_code == 7
    assert str(caught.value).endswith(f"; log in again: catalogsync login --url {emulator.url}")


def test_a_refresh_token_that_nobody_used_for_three_months_asks_for_a_new_login(
    emulator: Emulator, clock: Clock
) -> None:
    login_of(emulator)
    clock.now_s += REFRESH_S
    with pytest.raises(Unauthorized) as caught:
        Session(emulator).send()
    assert str(caught.value).startswith(f"the login of {emulator.url} is no longer accepted (POST {TOKENS}: refused")
    assert str(caught.value).endswith(f"; log in again: catalogsync login --url {emulator.url}")
    assert stored(emulator).is_used_up


def test_a_client_secret_that_is_wrong_or_missing_is_named_and_uses_nothing_up(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = login_of(emulator)
    revoke(emulator)
    monkeypatch.setenv("CLIENT_SECRET", "another")
    with pytest.raises(Unauthorized, match=r"^the integration's id or secret is not accepted"):
        Session(emulator).send()
    monkeypatch.delenv("CLIENT_SECRET")
    with pytest.raises(Unauthorized, match=r"^the client secret is to come from the environment's CLIENT_SECRET,"):
        Session(emulator).send()
    assert stored(emulator) == login
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    assert Session(emulator).send() == 200


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": 1}', "\x00"])
def test_a_damaged_store_says_so_and_a_run_under_way_ends_with_7(emulator: Emulator, text: str) -> None:
    login_of(emulator)
    session = Session(emulator)
    revoke(emulator)
    path = logins.path_of(emulator.url)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Unauthorized, match="the stored login is damaged"):
        session.send()
    assert refreshes(emulator) == []


def test_a_store_that_cannot_be_written_is_found_before_the_refresh_token_is_used(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = login_of(emulator)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = logins.path_of(emulator.url)
    words = f"{path}: the login cannot be kept (No space left on device)"
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        assert refreshing.renew(path, login.pair_id, 0) == ("refused", words)
    assert refreshes(emulator) == []
    assert json.loads(path.read_text("utf-8"))["refresh_token"] == login.refresh_token


def test_a_login_that_was_removed_under_a_run_ends_it(emulator: Emulator) -> None:
    login_of(emulator)
    session = Session(emulator)
    revoke(emulator)
    assert logins.forget(emulator.url)
    with pytest.raises(Unauthorized, match=f"^the login of {emulator.url} was removed; log in again"):
        session.send()


# --- many processes, and what is killed ---


@posix
@pytest.mark.parametrize("reason", ["old", "refused"])
def test_processes_that_refresh_at_once_send_one_refresh_and_all_work(emulator: Emulator, reason: str) -> None:
    old = login_of(emulator, age_s=THIRTEEN_HOURS_S if reason == "old" else 0)
    users = [user_of(emulator) for _ in range(3)]
    if reason == "refused":
        revoke(emulator)
    emulator.fault(f"delay=0.2 POST {TOKENS}")
    for user in users:
        assert user.stdin is not None
        user.stdin.write("go\n")
        user.stdin.flush()
    told = [user.communicate(timeout=60) for user in users]
    assert [out for out, _ in told] == ["200\n"] * 3, told
    assert refreshes(emulator) == [200]
    assert stored(emulator).pair_id != old.pair_id
    assert Session(emulator).send() == 200


def go(user: subprocess.Popen[str]) -> None:
    assert user.stdin is not None
    user.stdin.write("go\n")
    user.stdin.flush()


def wait_for_refresher(emulator: Emulator) -> None:
    """Whoever refreshes holds the lock until the pair is kept."""
    with logins.locked(logins.path_of(emulator.url)):
        pass


DEATHS = {
    "before the process that refreshes is started": "credentials._detached = die",
    "right after it was started": "start = credentials._detached; credentials._detached = lambda *a: die(start(*a))",
    "after it told, before the pair is read": "a = credentials._refresh; credentials._refresh = lambda *b: die(a(*b))",
}


@posix
@pytest.mark.parametrize("before", DEATHS.values(), ids=DEATHS)
def test_a_process_killed_before_or_after_a_refresh_loses_nothing(emulator: Emulator, before: str) -> None:
    login_of(emulator)
    user = user_of(emulator, before)
    revoke(emulator)
    go(user)
    assert user.wait(60) == -signal.SIGKILL
    user.communicate()
    wait_for_refresher(emulator)
    assert Session(emulator).send() == 200
    wait_for_refresher(emulator)
    assert refreshes(emulator) == [200]
    assert Session(emulator).send() == 200


@posix
@pytest.mark.parametrize("when", get_args(Edge))
def test_a_process_killed_while_its_refresh_is_under_way_loses_nothing(emulator: Emulator, when: Edge) -> None:
    """Its whole process group is killed before the server commits, or between that and the answer."""
    login_of(emulator)
    user = user_of(emulator)
    revoke(emulator)
    kill = Fault("call", "POST", TOKENS, when=when, call=lambda _: os.killpg(user.pid, signal.SIGKILL))
    emulator.fault(kill)
    go(user)
    user.communicate(timeout=60)
    assert user.returncode == -signal.SIGKILL
    wait_for_refresher(emulator)
    assert refreshes(emulator) == [200]
    assert Session(emulator).send() == 200
    assert refreshes(emulator) == [200]


@posix
def test_the_refresh_itself_ends_by_no_polite_signal(emulator: Emulator) -> None:
    login = login_of(emulator)
    child = subprocess.Popen(
        [sys.executable, "-m", "catalogsync.api.refreshing", str(logins.path_of(emulator.url)), login.pair_id, "0"],
        stdout=subprocess.PIPE,
    )

    def ask(_store: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            child.send_signal(number)

    emulator.fault(Fault("call", "POST", TOKENS, when="after", call=ask))
    assert child.communicate(timeout=60)[0] == b'{"outcome": "renewed", "message": ""}'
    assert stored(emulator).pair_id != login.pair_id


@posix
def test_what_remains_the_refresh_itself_killed_in_that_instant_needs_a_login_when_the_old_token_ends(
    emulator: Emulator,
) -> None:
    login = login_of(emulator, age_s=THIRTEEN_HOURS_S)
    child = subprocess.Popen(
        [sys.executable, "-m", "catalogsync.api.refreshing", str(logins.path_of(emulator.url)), login.pair_id, "0"],
        stdout=subprocess.DEVNULL,
    )
    emulator.fault(Fault("call", "POST", TOKENS, when="after", call=lambda _: child.kill()))
    assert child.wait(60) == -signal.SIGKILL
    assert stored(emulator) == login
    session = Session(emulator)
    assert session.send() == 200
    assert session.notices[0].startswith(f"the login of {emulator.url} is no longer accepted (")
    revoke(emulator)
    with pytest.raises(Unauthorized, match="log in again"):
        Session(emulator).send()


# --- secrets ---


def test_no_secret_is_in_a_message_a_traceback_or_a_repr(emulator: Emulator, state_folder: Path) -> None:
    login = login_of(emulator, age_s=THIRTEEN_HOURS_S)
    seen = {SECRET, login.access_token, login.refresh_token}
    told: list[str] = []
    for body in (f"Bearer {login.access_token}", f"{login.refresh_token} and"):
        emulator.faults.clear()
        for path, more in (("/api/*", ""), (TOKENS, SECRET)):
            fault = Fault("status", "*", path, status=400, body=f"{body} {more}", content_type="text/plain", count=0)
            emulator.fault(fault)
        session = Session(emulator)
        for request in (READ, WRITE):
            with pytest.raises(ApiError) as caught:
                session.send(request)
            told += [str(caught.value), repr(vars(caught.value)), *traceback.format_exception(caught.value)]
        aged(login, THIRTEEN_HOURS_S)
        told += [*session.notices, repr(session.credentials), repr(session.transport), repr(login), repr(vars(session))]
    assert any("refused with 400" in text for text in told)
    for text in told:
        assert not [secret for secret in seen if secret in text or secret[:20] in text]
    holding = [p for p in state_folder.rglob("*") if p.is_file() and any(s.encode() in p.read_bytes() for s in seen)]
    assert holding == [logins.path_of(emulator.url)]
    assert SECRET not in holding[0].read_text("utf-8")


def test_accounts_with_and_without_a_login_are_shown_without_their_tokens() -> None:
    login = Login("https://acme.kommo.com", "me").with_pair("access-token", "refresh-token", 0, 0)
    account_ = Account("https://acme.kommo.com", "access-token", "v2", login)
    assert "token" not in repr(account_).replace("access_token", "")
    assert "access-token" not in repr(login) + repr(Stored(login))
