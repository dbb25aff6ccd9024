"""The token endpoint: codes, pairs, rotation, expiry by the server's clock."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from catalogsync.emulator.oauth import ACCESS_S, CODE_S, PATH, REFRESH_S
from catalogsync.emulator.seed import SeedError
from catalogsync.emulator.server import Emulator

from .conftest import NOW, SEED, Clock

CLIENT = {"client_id": "me", "client_secret": "hush", "redirect_uri": "https://example.com"}


def ask(emulator: Emulator, **told: Any) -> requests.Response:
    return requests.post(emulator.url + PATH, json={**CLIENT, **told}, timeout=10)


def by_code(emulator: Emulator, code: str) -> requests.Response:
    return ask(emulator, grant_type="authorization_code", code=code)


def refresh(emulator: Emulator, token: str) -> requests.Response:
    return ask(emulator, grant_type="refresh_token", refresh_token=token)


def status(emulator: Emulator, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{emulator.url}/api/v2/account", headers=headers, timeout=10).status_code


def test_a_code_becomes_a_pair_once(emulator: Emulator) -> None:
    code = requests.post(f"{emulator.url}/_emulator/code", timeout=10).json()["code"]
    pair = by_code(emulator, code).json()
    assert (pair["token_type"], pair["expires_in"], pair["server_time"]) == ("Bearer", 86400, NOW)
    assert pair["access_token"].count(".") == 2
    assert status(emulator, pair["access_token"]) == 200
    assert status(emulator, pair["refresh_token"]) == 401
    again = by_code(emulator, code)
    assert (again.status_code, again.headers["Content-Type"]) == (400, "application/problem+json")


def test_an_access_token_expires_after_a_day_and_a_long_lived_one_does_not(emulator: Emulator, clock: Clock) -> None:
    pair = by_code(emulator, emulator.issue_code()).json()
    clock.now_s = NOW + ACCESS_S - 1
    assert status(emulator, pair["access_token"]) == 200
    clock.now_s = NOW + ACCESS_S
    assert status(emulator, pair["access_token"]) == 401
    assert status(emulator, emulator.token) == 200


def test_a_refresh_token_works_once(emulator: Emulator, clock: Clock) -> None:
    first = by_code(emulator, emulator.issue_code()).json()
    clock.now_s = NOW + ACCESS_S
    second = refresh(emulator, first["refresh_token"]).json()
    assert status(emulator, second["access_token"]) == 200
    assert refresh(emulator, first["refresh_token"]).status_code == 400
    assert refresh(emulator, second["access_token"]).status_code == 400
    third = refresh(emulator, second["refresh_token"]).json()
    clock.now_s += REFRESH_S
    assert refresh(emulator, third["refresh_token"]).status_code == 400


def test_a_code_is_good_for_twenty_minutes(emulator: Emulator, clock: Clock) -> None:
    code = emulator.issue_code()
    clock.now_s = NOW + CODE_S
    assert by_code(emulator, code).status_code == 400


def test_the_seed_names_the_integration_and_a_refusal_uses_nothing_up() -> None:
    with Emulator(seed={**SEED, "oauth": {**CLIENT, "code": "once"}}, rps=0) as emulator:
        asked = {"grant_type": "authorization_code", "code": "once"}
        wrong = [{"client_secret": "x"}, {"client_id": "x"}, {"redirect_uri": "x"}]
        assert [ask(emulator, **asked, **each).status_code for each in wrong] == [401, 401, 400]
        assert ask(emulator, **asked).status_code == 200


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"grant_type": "password"},
        {"grant_type": "authorization_code"},
        {"grant_type": "refresh_token", "refresh_token": 5},
        {"grant_type": "refresh_token", "refresh_token": "x", "client_id": ""},
        {"grant_type": ["refresh_token"]},
    ],
)
def test_what_is_missing_or_wrong_is_a_400(emulator: Emulator, told: dict[str, Any]) -> None:
    answer = ask(emulator, **told)
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")


def test_bodies_that_are_nothing_and_other_methods(emulator: Emulator) -> None:
    url = emulator.url + PATH
    assert requests.post(url, data=b"{", timeout=10).status_code == 400
    assert requests.post(url, json=[1], timeout=10).status_code == 400
    assert requests.get(url, timeout=10).status_code == 405
    form = {**CLIENT, "grant_type": "authorization_code", "code": emulator.issue_code()}
    assert requests.post(url, data=form, timeout=10).status_code == 200


def test_faults_and_the_rate_limit_come_before_the_endpoint(emulator: Emulator) -> None:
    emulator.fault("504 after POST /oauth2/*")
    code = emulator.issue_code()
    assert by_code(emulator, code).status_code == 504
    assert by_code(emulator, code).status_code == 400


def test_an_oauth_seed_with_unknown_words_is_refused() -> None:
    with pytest.raises(SeedError, match="oauth"):
        Emulator(seed={"oauth": {"secret": "x"}}).start()
