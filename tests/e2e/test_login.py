"""``catalogsync login``: a browser lets the program in, or a person pastes; what is kept, and what is never shown."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import stamina

from catalogsync.api import logins, loopback
from catalogsync.cli import USAGE_EXIT
from catalogsync.emulator.server import Emulator
from tests.accounts import INTEGRATION, SECRET, account, fake_keyring, refreshes, revoke, stored
from tests.e2e.conftest import Shell, Start

PAGES: list[str] = []


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def redirect_uri() -> str:
    return f"http://127.0.0.1:{free_port()}/done"


@pytest.fixture
def shell(start: Start, monkeypatch: pytest.MonkeyPatch, redirect_uri: str) -> Shell:
    """An account whose integration has registered `redirect_uri`, and no token in the environment."""
    shell = start({**account(), "oauth": {**INTEGRATION, "redirect_uri": redirect_uri}})
    monkeypatch.delenv("CATALOGSYNC_TOKEN")
    monkeypatch.delenv("CATALOGSYNC_URL")
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    return shell


Browse = Callable[[Callable[[str], Any]], None]


@pytest.fixture
def browse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browse]:
    """In place of a person's browser, which a test machine lacks: a thread that is given the page to open."""
    PAGES.clear()
    threads: list[threading.Thread] = []

    def begin(visit: Callable[[str], Any]) -> None:
        def open_(page: str) -> bool:
            PAGES.append(page)
            threads.append(threading.Thread(target=visit, args=(page,)))
            threads[-1].start()
            return True

        monkeypatch.setattr("webbrowser.open", open_)

    yield begin
    for thread in threads:
        thread.join()


def consent(page: str) -> requests.Response:
    """A person lets the integration in: the browser follows the page to the address that waits."""
    return requests.get(page, timeout=10)


def login(shell: Shell, redirect_uri: str, *more: str) -> int:
    return shell(
        "login", "--url", shell.emulator.url, "--client-id", "me", "--client-secret", "env:SHOP_SECRET",
        "--redirect-uri", redirect_uri, *more,
    )  # fmt: skip


def test_a_browser_lets_the_program_in_and_the_address_alone_names_the_account_then(
    shell: Shell, browse: Browse, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browse(consent)
    assert login(shell, redirect_uri) == 0, shell.err
    url, path = shell.emulator.url, logins.path_of(shell.emulator.url)
    assert shell.out == (
        f"Logged in to Sample (account 30001). The tokens are kept in {path}.\n"
        "They are renewed by themselves; a login that nobody uses for three months ends.\n"
        "To renew them SHOP_SECRET has to be in the environment, each time.\n"
        "Set in the environment:\n"
        f"  CATALOGSYNC_URL={url}\n"
    )
    assert "Let the integration in, in the browser." in shell.err
    kept = stored(shell.emulator)
    assert (kept.client_id, kept.client_secret, kept.redirect_uri) == ("me", "env:SHOP_SECRET", redirect_uri)

    monkeypatch.setenv("CATALOGSYNC_URL", url)
    assert shell("catalogs", "list") == 0
    assert "Products" in shell.out
    revoke(shell.emulator)
    assert shell("catalogs", "list") == 0
    assert refreshes(shell.emulator) == [200]


def test_the_page_is_asked_with_a_state_of_its_own_each_time(shell: Shell, browse: Browse, redirect_uri: str) -> None:
    browse(consent)
    for _ in range(2):
        assert login(shell, redirect_uri) == 0
    asked = [parse_qs(urlsplit(page).query) for page in PAGES]
    assert [(each["client_id"], each["mode"]) for each in asked] == [(["me"], ["popup"])] * 2
    assert len({each["state"][0] for each in asked}) == 2
    assert all(len(each["state"][0]) >= 32 for each in asked)


def test_to_log_in_again_the_address_is_enough(shell: Shell, browse: Browse, redirect_uri: str) -> None:
    browse(consent)
    assert login(shell, redirect_uri) == 0
    before = stored(shell.emulator)
    logins.path_of(shell.emulator.url).with_suffix(".lock").touch()
    assert shell("login", "--url", shell.emulator.url) == 0, shell.err
    after = stored(shell.emulator)
    assert after.pair_id != before.pair_id
    assert (after.client_id, after.client_secret, after.redirect_uri) == ("me", "env:SHOP_SECRET", redirect_uri)


def test_a_damaged_login_is_replaced(shell: Shell, browse: Browse, redirect_uri: str) -> None:
    browse(consent)
    path = logins.path_of(shell.emulator.url)
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    assert login(shell, redirect_uri) == 0
    assert stored(shell.emulator).client_id == "me"


def test_a_request_with_another_state_is_refused_and_the_login_goes_on(
    shell: Shell, browse: Browse, redirect_uri: str
) -> None:
    answers: list[tuple[int, str]] = []

    def visit(page: str) -> None:
        base = redirect_uri.removesuffix("/done")
        for address in ("/favicon.ico", "/done", "/done?code=evil&state=x", "/done?code=evil", "/other?code=x&state=y"):
            answer = requests.get(base + address, timeout=10)
            answers.append((answer.status_code, address))
        consent(page)

    browse(visit)
    assert login(shell, redirect_uri) == 0
    assert [status for status, _ in answers] == [404, 404, 400, 400, 404]


def test_a_consent_for_another_account_is_refused(shell: Shell, browse: Browse, redirect_uri: str) -> None:
    def visit(page: str) -> None:
        state = parse_qs(urlsplit(page).query)["state"][0]
        requests.get(f"{redirect_uri}?code=x&state={state}&referer=other.kommo.com", timeout=10)

    browse(visit)
    assert login(shell, redirect_uri) == 7
    host = urlsplit(shell.emulator.url).netloc
    words = f"error: the integration was let into other.kommo.com, and the login is for {host}; nothing was kept\n"
    assert shell.err.endswith(words)
    assert shell.sent == []


def test_a_consent_that_is_denied_ends_with_7(shell: Shell, browse: Browse, redirect_uri: str) -> None:
    def visit(page: str) -> None:
        state = parse_qs(urlsplit(page).query)["state"][0]
        requests.get(f"{redirect_uri}?error=access_denied&state={state}", timeout=10)

    browse(visit)
    assert login(shell, redirect_uri) == 7
    assert "error: the integration was not let in (access_denied)" in shell.err


def test_nobody_there_ends_with_7(
    shell: Shell, browse: Browse, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loopback, "WAIT_S", 0.01)
    browse(lambda _: None)
    assert login(shell, redirect_uri) == 7
    assert "error: nobody let the integration in within 0 s. Run again; with --paste where" in shell.err


def test_a_port_that_is_taken_is_told_before_a_browser_opens(shell: Shell, browse: Browse) -> None:
    browse(consent)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert login(shell, f"http://127.0.0.1:{taken.getsockname()[1]}/") == 1
    assert "of this machine cannot be used (Address already in use)" in shell.err
    assert PAGES == []


@pytest.mark.parametrize("address", ["https://example.com/x", "http://example.com:80/", "http://127.0.0.1/", "x"])
def test_an_address_elsewhere_needs_paste(shell: Shell, browse: Browse, address: str) -> None:
    browse(consent)
    assert login(shell, address) == 1
    words = f"error: --redirect-uri {address} is not an address like http://127.0.0.1:8765/; or use --paste\n"
    assert shell.err == words


# --- paste ---


def code_by(shell: Shell) -> str:
    return shell.emulator.issue_code()


def test_a_code_is_pasted_where_there_is_no_browser(
    shell: Shell, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"  {code_by(shell)}\n"))
    assert login(shell, redirect_uri, "--paste") == 0, shell.err
    assert "Open this address in any browser and let the integration in:" in shell.err
    assert stored(shell.emulator).client_id == "me"


def test_a_pasted_address_has_to_belong_to_this_login(
    shell: Shell, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: "the-state")
    code = "a-code-that-nobody-may-see"
    for address, words in {
        f"https://x.example/?code={code}&state=another": "this address belongs to another login",
        f"https://x.example/?code={code}": "this address belongs to another login",
        "https://x.example/?code=&state=the-state": "the code is empty",
        f"https://x.example/?code={code}&state=the-state&referer=b.kommo.com": "was let into b.kommo.com",
        f"https://x.example/?code={code}&state=the-state": "error: the code is not accepted (POST /oauth2/access_token",
        "": "the code is empty",
    }.items():
        monkeypatch.setattr(sys, "stdin", io.StringIO(address + "\n"))
        assert login(shell, redirect_uri, "--paste") == 7
        assert words in shell.err
        assert code not in shell.err + shell.out
    good = f"{redirect_uri}?code={code_by(shell)}&state=the-state&referer={urlsplit(shell.emulator.url).netloc}"
    monkeypatch.setattr(sys, "stdin", io.StringIO(good))
    assert login(shell, redirect_uri, "--paste") == 0, shell.err


def test_a_code_that_is_not_accepted_names_the_redirect_address(
    shell: Shell, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("once"))
    assert login(shell, "https://another.example/", "--paste") == 7
    assert shell.err.endswith("; is https://another.example/ what the integration has registered?\n")
    assert not logins.path_of(shell.emulator.url).exists()


# --- what is given ---


def test_without_an_integration_the_ways_are_told(shell: Shell) -> None:
    assert shell("login") == 7
    assert shell.err == "error: which account? Give --url https://YOUR-ACCOUNT.kommo.com\n"
    assert shell("login", "--url", shell.emulator.url) == 7
    assert "a login needs an integration of the account: --client-id ID and --client-secret env:NAME" in shell.err
    assert shell("login", "--url", "emulator") == 1


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(shell: Shell, browse: Browse) -> None:
    browse(consent)
    for arguments in (("--client-id", "me", "--client-secret", SECRET), ("--token", SECRET)):
        assert shell("login", "--url", shell.emulator.url, *arguments) == 7
        assert SECRET not in shell.err + shell.out
        assert "is not env:NAME, file:PATH or keyring:NAME; the secret itself does not belong there" in shell.err
    assert (PAGES, shell.sent) == ([], [])


def test_a_secret_that_is_missing_is_told_before_a_browser_opens(shell: Shell, browse: Browse) -> None:
    browse(consent)
    arguments = ("--client-id", "me", "--client-secret", "env:NONE")
    assert shell("login", "--url", shell.emulator.url, *arguments) == 7
    assert shell.err == "error: the client secret is to come from the environment's NONE, which is not set\n"
    assert PAGES == []


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("acme.kommo.com", "https://www.kommo.com/oauth?"),
        ("https://acme.amocrm.com", "https://www.kommo.com/oauth?"),
        ("https://acme.amocrm.ru/leads", "https://www.amocrm.ru/oauth?"),
    ],
)
def test_the_page_is_the_vendors(
    shell: Shell, redirect_uri: str, address: str, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    arguments = ("--client-id", "me", "--client-secret", "env:SHOP_SECRET", "--redirect-uri", redirect_uri, "--paste")
    assert shell("login", "--url", address, *arguments) == 7
    printed = shell.err.splitlines()[1].strip()
    assert printed.startswith(page)
    assert set(parse_qs(urlsplit(printed).query)) == {"client_id", "state", "mode"}


@pytest.mark.parametrize("address", ["https://kommo.com", "https://acme.example", "https://kommo.com.evil.example"])
def test_a_host_that_is_not_the_vendors_is_refused(shell: Shell, browse: Browse, address: str) -> None:
    browse(consent)
    assert shell("login", "--url", address, "--client-id", "me", "--client-secret", "env:SHOP_SECRET") == 1
    assert f"{address}: a login works for accounts at *.kommo.com and *.amocrm.com and *.amocrm.ru" in shell.err
    assert PAGES == []


# --- long-lived tokens, the keyring, forgetting ---


def test_a_long_lived_token_is_checked_with_one_request_and_its_setting_is_told(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(shell.emulator.token, encoding="utf-8")
    path.chmod(0o600)
    assert shell("login", "--url", shell.emulator.url, "--token", f"file:{path}") == 0
    assert shell.out == (
        "The token of Sample (account 30001) is accepted.\n"
        "Set in the environment:\n"
        f"  CATALOGSYNC_URL={shell.emulator.url}\n"
        f"  CATALOGSYNC_TOKEN=file:{path}\n"
    )
    assert [(arrival.method, arrival.target) for arrival in shell.sent] == [("GET", "/api/v2/account")]
    assert not logins.path_of(shell.emulator.url).exists()


def test_a_long_lived_token_that_is_not_accepted_ends_with_7(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", "another-token")
    assert shell("login", "--url", shell.emulator.url, "--token", "env:T") == 7
    assert "the token is not accepted" in shell.err
    assert "another-token" not in shell.err


def test_a_long_lived_token_can_be_kept_in_the_keyring(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_keyring(tmp_path, monkeypatch)
    monkeypatch.setenv("T", shell.emulator.token)
    assert shell("login", "--url", shell.emulator.url, "--token", "env:T", "--keyring") == 0
    assert "It is kept in the keyring." in shell.out
    monkeypatch.delenv("T")
    monkeypatch.setenv("CATALOGSYNC_URL", shell.emulator.url)
    assert shell("catalogs", "list") == 0
    assert shell.emulator.token not in logins.path_of(shell.emulator.url).read_text("utf-8")
    shell.emulator.fault("401 GET count=0")
    assert shell("catalogs", "list") == 7
    way_out = f"make a new one in the account, then log in again: catalogsync login --url {shell.emulator.url}"
    assert f"{way_out} --token … --keyring" in shell.err


def test_a_login_in_the_keyring_is_renewed_there(
    shell: Shell, browse: Browse, redirect_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = fake_keyring(tmp_path, monkeypatch)
    browse(consent)
    assert login(shell, redirect_uri, "--keyring") == 0, shell.err
    assert "The tokens are kept in the keyring." in shell.out
    monkeypatch.setenv("CATALOGSYNC_URL", shell.emulator.url)
    before = json.loads(kept.read_text("utf-8"))
    revoke(shell.emulator)
    assert shell("catalogs", "list") == 0, shell.err
    after = json.loads(kept.read_text("utf-8"))
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert shell("login", "--url", shell.emulator.url, "--forget") == 0
    assert json.loads(kept.read_text("utf-8")) == {}


def test_without_a_keyring_nothing_is_asked_of_a_person(
    shell: Shell, browse: Browse, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browse(consent)
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert login(shell, redirect_uri, "--keyring") == 7
    assert 'the library is not installed: pip install "catalogsync[keyring]"' in shell.err
    assert PAGES == []


def test_a_login_is_forgotten(shell: Shell, browse: Browse, redirect_uri: str) -> None:
    browse(consent)
    assert login(shell, redirect_uri) == 0
    url = shell.emulator.url
    assert shell("login", "--url", url, "--forget") == 0
    assert shell.out == f"The login of {url} was removed.\n"
    assert not logins.path_of(url).exists()
    assert shell("login", "--url", url, "--forget", "--json") == 0
    assert json.loads(shell.out) == {"url": url, "forgotten": False}


def test_what_a_script_reads(shell: Shell, browse: Browse, redirect_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    browse(consent)
    monkeypatch.setenv("CATALOGSYNC_TOKEN", "mine")
    assert login(shell, redirect_uri, "--json") == 0
    assert json.loads(shell.out) == {
        "url": shell.emulator.url,
        "account": {"id": 30001, "name": "Sample"},
        "expires_at": stored(shell.emulator).expires_at,
        "environment": {"CATALOGSYNC_URL": shell.emulator.url},
    }
    assert "warning: CATALOGSYNC_TOKEN is set and goes before this login" in shell.err


def test_a_wrong_command_line_is_64(shell: Shell) -> None:
    assert shell("login", "--nonsense") == USAGE_EXIT


# --- a run that outlives its token ---

SHEET = "Code;Name;Price\n" + "".join(f"{n};Product {n};{n}\n" for n in range(1, 6))
MAPPING = "catalog: Products\nkey: Code\ncolumns: {Code: SKU, Name: name, Price: PRICE}\n"


@pytest.mark.parametrize("api", ["v2", "v4"])
def test_a_run_whose_token_ends_midway_goes_on_and_writes_nothing_twice(
    shell: Shell,
    browse: Browse,
    redirect_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    api: str,
) -> None:
    from catalogsync.emulator.faults import Fault

    browse(consent)
    assert login(shell, redirect_uri) == 0
    monkeypatch.setenv("CATALOGSYNC_URL", shell.emulator.url)
    monkeypatch.setenv("CATALOGSYNC_API", api)
    (tmp_path / "sheet.csv").write_text(SHEET, encoding="utf-8")
    (tmp_path / "m.yaml").write_text(MAPPING, encoding="utf-8")
    path = "/api/v2/catalog_elements" if api == "v2" else "/api/v4/catalogs/*/elements"
    emulator = shell.emulator
    emulator.fault(Fault("call", "POST", path, nth=2, call=lambda _: revoke(emulator)))
    code = shell("import", tmp_path / "sheet.csv", "-m", tmp_path / "m.yaml", "--yes", "--batch", "1", "-v")
    assert code == 0, shell.err
    assert refreshes(shell.emulator) == [200]
    assert 401 in [arrival.status for arrival in shell.sent if arrival.method == "POST"]
    assert sorted(element["name"] for element in shell.elements()) == [f"Product {n}" for n in range(1, 6)]
    assert "in 5 write requests" in shell.out


def test_no_command_shows_or_keeps_a_secret_but_in_the_store(
    shell: Shell, browse: Browse, redirect_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browse(consent)
    assert login(shell, redirect_uri) == 0
    printed = [shell.out, shell.err]
    seen = {SECRET}

    def run(*arguments: object) -> None:
        if logins.path_of(shell.emulator.url).exists():
            kept = stored(shell.emulator)
            seen.update((kept.access_token, kept.refresh_token))
        shell(*arguments)
        printed.extend((shell.out, shell.err))

    monkeypatch.setenv("CATALOGSYNC_URL", shell.emulator.url)
    (tmp_path / "sheet.csv").write_text(SHEET, encoding="utf-8")
    (tmp_path / "m.yaml").write_text(MAPPING, encoding="utf-8")
    sheet: tuple[object, ...] = (tmp_path / "sheet.csv", "-m", tmp_path / "m.yaml")
    for end in ("json", "xlsx", "html"):
        run("plan", *sheet, "-v", "--out", tmp_path / f"plan.{end}")
    revoke(shell.emulator)
    run("import", *sheet, "--yes", "-v", "--json")
    run("history", 1, "-v")
    run("export", "Products", tmp_path / "out.xlsx")
    for fault in ("400 json GET", "500 POST count=0", "401 count=0", "403 html GET", "garble GET count=0"):
        shell.emulator.faults.clear()
        shell.emulator.fault(fault)
        with stamina.set_testing(True, attempts=1, cap=True):
            run("catalogs", "list")
            monkeypatch.setattr(sys, "stdin", io.StringIO(shell.emulator.issue_code()))
            run("login", "--url", shell.emulator.url, "--client-id", "x", "--paste")
    shell.emulator.faults.clear()
    revoke(shell.emulator)
    shell.emulator.fault("400 json POST /oauth2/* count=0")
    run("catalogs", "list")
    assert len(seen) >= 5
    for text in printed:
        assert not [secret for secret in seen if secret in text]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"plan.json", "plan.xlsx", "out.xlsx", "journal.sqlite"} <= {path.name for path in files}
    holding = {path for path in files if any(secret.encode() in path.read_bytes() for secret in seen)}
    assert holding == {logins.path_of(shell.emulator.url)}
    assert SECRET not in logins.path_of(shell.emulator.url).read_text("utf-8")


def test_no_secret_is_among_the_arguments_of_a_process(
    shell: Shell, browse: Browse, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browse(consent)
    assert login(shell, redirect_uri) == 0
    monkeypatch.setenv("CATALOGSYNC_URL", shell.emulator.url)
    kept = stored(shell.emulator)
    revoke(shell.emulator)
    started: list[str] = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **named: Any) -> None:
            started.extend(command)
            super().__init__(command, **named)

    monkeypatch.setattr("subprocess.Popen", Watched)
    assert shell("catalogs", "list") == 0
    assert "catalogsync.api.refreshing" in started
    assert not {SECRET, kept.access_token, kept.refresh_token} & set(" ".join(started).split())
    assert not [secret for secret in (SECRET, kept.access_token, kept.refresh_token) if secret in " ".join(started)]


def test_the_emulators_page_lets_in_whoever_its_seed_names() -> None:
    with Emulator(seed={"oauth": INTEGRATION}, rps=0) as emulator:

        def get(**query: str) -> requests.Response:
            return requests.get(f"{emulator.url}/oauth", params=query, timeout=10, allow_redirects=False)

        assert get(client_id="other", state="s").status_code == 400
        assert get().status_code == 400
        answer = get(client_id="me", state="s&x", redirect_uri="http://evil.example/")
        assert answer.status_code == 302
        target = urlsplit(answer.headers["Location"])
        told = parse_qs(target.query)
        assert (target.netloc, told["state"]) == ("127.0.0.1:8765", ["s&x"])
        assert told["referer"] == [urlsplit(emulator.url).netloc]
        assert requests.post(f"{emulator.url}/oauth", timeout=10).headers["Allow"] == "GET"
    with Emulator(rps=0) as emulator:
        for redirect_uri in ("", "ftp://x", "http://x/\nSet-Cookie: a", "http://é/"):
            answer = requests.get(
                f"{emulator.url}/oauth", params={"client_id": "a", "redirect_uri": redirect_uri}, timeout=10
            )
            assert answer.status_code == 400
