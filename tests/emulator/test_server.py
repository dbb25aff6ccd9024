"""Starting, stopping, tokens, the rate limit, the request log."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.limits import RateLimit
from catalogsync.emulator.server import Arrival, Emulator

from .conftest import SEED, Clock, Session


def test_a_database_file_keeps_account_and_token_between_starts(tmp_path: Path) -> None:
    db = tmp_path / "account.db"
    with Emulator(db, rps=0) as emulator:
        token = emulator.token
        emulator.store.add_catalog("Kept")
    with Emulator(db, rps=0, seed=SEED) as emulator:
        assert emulator.token == token
        assert [catalog.name for catalog in emulator.store.catalogs()] == ["Kept"]
    with Emulator(db, rps=0, token="given") as emulator:
        assert emulator.token == "given"
        assert set(emulator.store.tokens()) == {token, "given"}


def test_the_seeds_token_is_used_unless_one_is_given() -> None:
    with Emulator(seed=SEED) as emulator:
        assert emulator.token == "seeded-token"
    with Emulator(seed=SEED, token="given") as emulator:
        assert emulator.token == "given"


def test_stopping_leaves_no_thread_no_port_and_no_file() -> None:
    threads = set(threading.enumerate())
    emulator = Emulator()
    emulator.start()
    port = int(emulator.url.rpartition(":")[2])
    requests.get(emulator.url, timeout=10)
    emulator.stop()
    emulator.stop()
    assert set(threading.enumerate()) == threads
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    with pytest.raises(RuntimeError):
        _ = emulator.url


def test_a_taken_port_is_an_error_that_leaves_nothing_open() -> None:
    with Emulator() as first, pytest.raises(OSError, match="in use"):
        Emulator(port=int(first.url.rpartition(":")[2])).start()


def test_the_token_is_in_no_repr() -> None:
    with Emulator(token="secret-token") as emulator:
        session = requests.Session()
        with session:
            session.get(f"{emulator.url}/api/v2/account", headers={"Authorization": "Bearer secret-token"}, timeout=10)
        assert "secret-token" not in repr(emulator) + repr(vars(emulator)) + repr(emulator.store)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}])
def test_without_a_known_token_nothing_is_answered(emulator: Emulator, headers: dict[str, str]) -> None:
    answer = requests.get(f"{emulator.url}/api/v2/account", headers=headers, timeout=10)
    assert answer.status_code == 401
    assert answer.json() == {
        "title": "Unauthorized",
        "type": "https://httpstatus.es/401",
        "status": 401,
        "detail": "Token is missing, expired or revoked",
    }


def test_an_unknown_route_is_a_page_and_a_wrong_method_the_legacy_body(session: Session) -> None:
    unknown = session.get("/api/v9/things")
    assert (unknown.status_code, unknown.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    wrong = session.http.delete(f"{session.emulator.url}/api/v2/catalogs", timeout=10)
    assert (wrong.status_code, wrong.json()["response"]["error_code"]) == (405, "405")


def test_a_wrong_method_is_told_the_right_ones(session: Session) -> None:
    allowed = {"/api/v2/catalogs": "GET, POST", "/api/v4/catalogs/4220": "GET, PATCH", "/oauth2/access_token": "POST"}
    for path, methods in allowed.items():
        wrong = session.http.put(session.emulator.url + path, timeout=10)
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, methods)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "HEAD", "QUERY"])
def test_an_unusual_method_passes_the_same_gates(session: Session, method: str) -> None:
    url = f"{session.emulator.url}/api/v4/account"
    assert requests.request(method, url, timeout=10).status_code == 401
    assert session.http.request(method, url, timeout=10).status_code == 405
    assert [(each.method, each.status) for each in session.emulator.requests] == [(method, 401), (method, 405)]


@pytest.mark.parametrize("odd", ["%0A", "%0D", "%09", "%23x", "%3Fx", "%20", "%00", "%FF"])
def test_an_odd_character_in_a_path_makes_another_path(session: Session, odd: str) -> None:
    assert requests.get(f"{session.emulator.url}/api/v4/catalogs{odd}", timeout=10).status_code == 401
    for path in (f"/api/v4/catalogs{odd}", f"/api/v4/catalogs/{odd}/elements", f"/api/v2/catalogs{odd}"):
        assert session.get(path).status_code == 404
    assert session.emulator.requests[-1].target == f"/api/v2/catalogs{odd}"


def test_every_arrival_is_logged_with_what_it_sent_and_got() -> None:
    steady = Clock(100.0)
    with Emulator(seed=SEED, rps=0, steady_clock=steady) as emulator:
        session = Session(emulator)
        with session.http:
            session.get("/api/v2/catalog_elements?catalog_id=4221&page=2")
            steady.now_s = 101.5
            session.elements({"delete": [1]})
        assert emulator.requests == [
            Arrival(100.0, "GET", "/api/v2/catalog_elements?catalog_id=4221&page=2", None, 204),
            Arrival(101.5, "POST", "/api/v2/catalog_elements", {"delete": [1]}, 200),
        ]
        assert emulator.requests[0].path == "/api/v2/catalog_elements"
        emulator.clear_requests()
        assert emulator.requests == []


def test_the_eighth_request_of_a_second_is_a_429_page_without_retry_after() -> None:
    steady = Clock(50.0)
    with Emulator(seed=SEED, steady_clock=steady) as emulator:
        session = Session(emulator)
        with session.http:
            answers = [session.get("/api/v2/catalogs") for _ in range(8)]
            assert [answer.status_code for answer in answers] == [200] * 7 + [429]
            assert answers[-1].headers["Content-Type"] == "text/html; charset=utf-8"
            assert "Retry-After" not in answers[-1].headers
            steady.now_s = 50.99
            assert session.get("/api/v2/catalogs").status_code == 429
            steady.now_s = 51.0
            assert session.get("/api/v2/catalogs").status_code == 200


def test_sustained_excess_blocks_until_it_is_lifted() -> None:
    steady = Clock(0.0)
    with Emulator(seed=SEED, rps=1, steady_clock=steady, knobs=Knobs(block_after_s=3)) as emulator:
        session = Session(emulator)
        with session.http:
            seen = []
            for second in range(5):
                steady.now_s = float(second)
                seen += [session.get("/api/v2/catalogs").status_code for _ in range(2)]
            assert seen == [200, 429, 200, 429, 200, 429, 403, 403, 403, 403]
            requests.delete(f"{emulator.url}/_emulator/block", timeout=10)
            steady.now_s = 60.0
            assert session.get("/api/v2/catalogs").status_code == 200


def test_excess_with_a_pause_between_does_not_block() -> None:
    limit = RateLimit(1, 2)
    verdicts: list[Any] = [limit.judge("t", at_s) for at_s in (0.0, 0.1, 5.0, 5.1, 9.0, 9.1)]
    assert verdicts == ["admitted", "over"] * 3


def test_each_token_has_its_own_rate() -> None:
    limit = RateLimit(1, 0)
    assert [limit.judge(token, 0.0) for token in ("a", "b", "a")] == ["admitted", "admitted", "over"]


def test_the_account_has_a_rate_over_all_tokens_and_excess_blocks_every_token() -> None:
    limit = RateLimit(7, 2, 50)
    verdicts = [limit.judge(f"token {number % 10}", 0.0) for number in range(60)]
    assert verdicts == ["admitted"] * 50 + ["over"] * 10
    assert limit.judge("another", 0.99) == "over"
    assert limit.judge("another", 1.0) == "admitted"
    assert [limit.judge("another", 1.0) for _ in range(7)] == ["admitted"] * 6 + ["over"]
    assert limit.judge("untouched", 9.0) == "blocked"
    limit.lift()
    assert limit.judge("untouched", 9.0) == "admitted"


def test_a_rate_of_zero_is_no_limit_at_all_and_the_accounts_is_never_below_a_tokens() -> None:
    unlimited = RateLimit(0, 1, 1)
    assert {unlimited.judge("a", 0.0) for _ in range(100)} == {"admitted"}
    assert RateLimit(100, 0, 50).account_rps == 100
    assert RateLimit(7, 0, 0).judge("a", 0.0) == "admitted"


def test_tokens_that_were_tried_once_are_forgotten() -> None:
    limit = RateLimit(7, 0)
    for number in range(5000):
        limit.judge(f"guess {number}", number / 10)
    assert len(limit._admitted) <= 1001


def test_a_stop_does_not_wait_for_a_delayed_request_and_does_not_apply_it(tmp_path: Path) -> None:
    db = tmp_path / "account.db"
    emulator = Emulator(db, seed=SEED, rps=0)
    emulator.start()
    emulator.fault("delay=60 POST")
    url, headers = f"{emulator.url}/api/v2/catalog_elements", {"Authorization": f"Bearer {emulator.token}"}
    with pytest.raises(requests.Timeout):
        requests.post(url, json={"delete": [41873]}, headers=headers, timeout=0.1)
    emulator.stop()
    with Emulator(db) as again:
        assert again.store.element(41873) is not None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_serves_until_a_signal(number: signal.Signals) -> None:
    program = (
        "from catalogsync.emulator.server import Emulator\n"
        "emulator = Emulator()\n"
        "print(emulator.serve_forever(lambda: print(emulator.url, flush=True)), flush=True)\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert requests.get(process.stdout.readline().strip(), timeout=10).status_code == 401
        process.send_signal(number)
        said, complained = process.communicate(timeout=10)
    assert (said.strip(), complained, process.returncode) == (str(int(number)), "", 0)


def test_it_imports_nothing_of_the_client() -> None:
    program = (
        "import sys, catalogsync.emulator.server\n"
        "print([name for name in sys.modules if name.startswith('catalogsync.')"
        " and not name.startswith('catalogsync.emulator')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
