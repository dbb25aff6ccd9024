"""Alerts on their way, to real servers on this machine: mail and webhook, down and up, several processes, secrets."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogsync.errors import UserError
from catalogsync.reconcile.addresses import Address, address_of, name_of
from catalogsync.reconcile.alerts import Alerts, Delivery
from catalogsync.reconcile.alertstore import CLAIM_S
from catalogsync.reconcile.project import AlertSpec
from catalogsync.reconcile.secrets import redacted
from catalogsync.reconcile.sending import NotSent, send_by_apprise
from catalogsync.reconcile.state import Memory
from tests.reconcile.servers import Inbox, free_port, smtp_server, webhook
from tests.reconcile.turns import DAY_S, NIGHT, SCOPE, turn

pytest.importorskip("apprise")

PASSWORD = "Geheim77"
PATH_KEY = "hookT0KENabc123"


def _mail_address(port: int, to: str = "anna@example.com") -> str:
    return f"mailto://127.0.0.1:{port}/?from=sync@example.com&to={to}&mode=insecure"


def _alerts(memory: Memory, *to: str, folder: Path = Path(), digest: str = "", **environment: str) -> Alerts:
    return Alerts(
        memory,
        SCOPE,
        AlertSpec(to=to, digest=digest),
        folder=folder,
        environment=environment,
    )


def _turn(alerts: Alerts, at: float, *events: str, words: str = "all is well") -> Delivery:
    alerts.note(turn(*events, words=words), at)
    return alerts.deliver(at)


@pytest.mark.parametrize("format", ["", "&format=html", "&format=markdown"])
def test_a_mail_has_its_recipient_its_subject_and_plain_text_whatever_a_sheet_says(memory: Memory, format: str) -> None:
    port = free_port()
    with smtp_server(port) as inbox:
        alerts = _alerts(memory, "env:MAIL", MAIL=_mail_address(port) + format)
        words = "refused: “Stift <b>rot</b>” =1+1 *x* :smile: \\n {braces} &amp; ż"
        assert _turn(alerts, NIGHT, "guard", words=words) == Delivery(sent=1)
    ((sender, recipients, mail),) = inbox.mails
    assert (sender, recipients) == ("sync@example.com", ["anna@example.com"])
    assert (mail["To"], mail["Subject"]) == ("anna@example.com", "catalogsync: prices — refused by a guard")
    assert mail.get_content_type() == "text/plain"
    assert words in mail.get_content().splitlines()


def test_nights_by_mail_first_and_recovery_only(memory: Memory) -> None:
    port = free_port()
    with smtp_server(port) as inbox:
        for night, events in enumerate([(), ("failure",), ("failure",), ("failure",), (), ()]):
            _turn(_alerts(memory, "env:MAIL", MAIL=_mail_address(port)), NIGHT + night * DAY_S, *events)
    assert inbox.subjects == ["catalogsync: prices — failed", "catalogsync: prices — recovered: works again"]


def test_a_mail_server_that_is_down_gets_everything_when_it_is_up_again(memory: Memory) -> None:
    port = free_port()
    alerts = _alerts(
        memory, "env:MAIL", "env:BOSS", MAIL=_mail_address(port), BOSS=_mail_address(port, "b@example.com")
    )
    problem = "the message was not taken (E-Mail): no connection, refused, or too slow"
    down = Delivery(problems=(f"env:MAIL: {problem}", f"env:BOSS: {problem}"))
    assert _turn(alerts, NIGHT, "guard") == down
    assert _turn(alerts, NIGHT + DAY_S) == down
    with smtp_server(port) as inbox:
        assert alerts.deliver(NIGHT + 2 * DAY_S) == Delivery(sent=4)
        assert alerts.deliver(NIGHT + 2 * DAY_S) == Delivery()
    assert [
        (to, subject.partition("— ")[2]) for (_, to, _), subject in zip(inbox.mails, inbox.subjects, strict=True)
    ] == [
        (["anna@example.com"], "refused by a guard"),
        (["anna@example.com"], "recovered: no longer refused by a guard"),
        (["b@example.com"], "refused by a guard"),
        (["b@example.com"], "recovered: no longer refused by a guard"),
    ]


def test_a_digest_by_mail_is_one_mail(memory: Memory) -> None:
    port = free_port()
    with smtp_server(port) as inbox:
        alerts = _alerts(memory, "env:MAIL", digest="08:00", MAIL=_mail_address(port))
        for hour in range(2, 40):  # 04:00 until 17:00 of the next day
            _turn(alerts, NIGHT + hour * 3600, *(("guard",) if hour % 12 == 8 else ()), words=f"turn {hour}")
    assert _told(inbox) == [("catalogsync: prices — 4 alerts", ["turn 8", "turn 9", "turn 20", "turn 21"])]


def _told(inbox: Inbox) -> list[tuple[str, list[str]]]:
    contents = [mail.get_content().splitlines() for _, _, mail in inbox.mails]
    lines = [[line for line in content if line.startswith("turn ")] for content in contents]
    return list(zip(inbox.subjects, lines, strict=True))


def test_a_webhook_gets_the_same_words(memory: Memory) -> None:
    with webhook() as hook:
        plain = f"json://127.0.0.1:{hook.port}/alerts"
        _turn(_alerts(memory, plain), NIGHT, "rejected", words="<script>x</script> *3* rows")
    ((path, body),) = hook.posts
    assert path == "/alerts"
    assert (body["title"], body["message"].splitlines()[3]) == (
        "catalogsync: prices — rows rejected",
        "<script>x</script> *3* rows",
    )


def test_a_webhook_that_refuses_gets_it_again(memory: Memory) -> None:
    with webhook() as hook:
        alerts = _alerts(memory, f"json://127.0.0.1:{hook.port}")
        hook.status = 503
        assert len(_turn(alerts, NIGHT, "guard").problems) == 1
        hook.status = 200
        assert alerts.deliver(NIGHT + 1) == Delivery(sent=1)
    assert hook.titles == ["refused by a guard"] * 2


def test_an_address_in_a_file_is_relative_to_the_project(memory: Memory, tmp_path: Path) -> None:
    with webhook() as hook:
        (tmp_path / "alerts.txt").write_text(f"json://127.0.0.1:{hook.port}\n", encoding="utf-8")
        (tmp_path / "alerts.txt").chmod(0o600)
        assert _turn(_alerts(memory, "file:alerts.txt", folder=tmp_path), NIGHT, "guard") == Delivery(sent=1)
    assert hook.titles == ["refused by a guard"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "is not an address that apprise understands, as in mailto://… or slack://…"),
        ("tgram://short", "is not an address that apprise understands, as in mailto://… or slack://…"),
        (
            "json://127.0.0.1:1 json://127.0.0.1:2",
            "holds several addresses; give each a reference of its own under `to:`",
        ),
    ],
)
def test_an_address_that_is_none_is_told(text: str, words: str) -> None:
    with pytest.raises(NotSent) as raised:
        send_by_apprise(Address("env:ALERTS", text), "subject", "body")
    assert str(raised.value) == words


def test_without_apprise_the_way_out_is_told_and_the_alert_kept(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as hook:
        alerts = _alerts(memory, "env:ALERTS", ALERTS=f"json://127.0.0.1:{hook.port}")
        monkeypatch.setitem(sys.modules, "apprise", None)
        words = 'env:ALERTS: alerts need apprise, which is not installed: pip install "catalogsync[alerts]"'
        assert _turn(alerts, NIGHT, "guard") == Delivery(problems=(words,))
        monkeypatch.undo()
        assert alerts.deliver(NIGHT + 1) == Delivery(sent=1)


def test_alerts_load_apprise_only_to_send() -> None:
    probe = "import sys, catalogsync.reconcile.alerts; print('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "False\n"


# --- addresses ----------------------------------------------------------------------------------------------


def test_references_that_lead_nowhere_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty").touch(0o600)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    told = []
    for entry in ("env:NONE", "file:none", "file:empty", "file:binary"):
        with pytest.raises(UserError) as raised:
            address_of(entry, tmp_path, {})
        told.append(str(raised.value))
    comes = "the address of alerts is to come from"
    assert told == [
        f"{comes} the environment's NONE, which is not set",
        f"{comes} {tmp_path / 'none'}, which cannot be read (No such file or directory)",
        f"{tmp_path / 'empty'} is empty",
        f"{tmp_path / 'binary'} holds characters that no token has; copy it again",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files are of POSIX")
def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("json://x", encoding="utf-8")
    (tmp_path / "alerts").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        address_of("file:alerts", tmp_path, {})


def test_the_name_of_a_plain_address_does_not_tell_it() -> None:
    assert name_of("env:ALERTS") == "env:ALERTS"
    name = name_of(f"json://anna:{PASSWORD}@example.com/{PATH_KEY}")
    assert name.startswith("json://… (")
    assert PASSWORD not in name
    assert PATH_KEY not in name
    assert name != name_of("json://example.com")


# --- secrets ------------------------------------------------------------------------------------------------


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """All that any library logs, at every level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("status", [200, 500, 0])
def test_no_secret_of_an_address_gets_anywhere(
    memory: Memory, tmp_path: Path, everything_logged: io.StringIO, status: int
) -> None:
    with webhook() as hook:
        hook.status = status or 200
        port = hook.port if status else free_port()
        reference = "env:ALERTS" if status != 500 else f"json://anna:{PASSWORD}@127.0.0.1:{port}/{PATH_KEY}"
        address = f"json://anna:{PASSWORD}@127.0.0.1:{port}/{PATH_KEY}"
        alerts = _alerts(memory, reference, ALERTS=address)
        delivery = _turn(alerts, NIGHT, "guard", words=f"could not reach {address}")
    assert bool(delivery.problems) is (status != 200)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    texts = [everything_logged.getvalue(), repr(delivery), repr(alerts)]
    texts += [repr(Address("x", address)), str([body for _, body in hook.posts]), stored.decode("latin-1")]
    assert "alert not delivered" in texts[0] or status == 200
    for secret in (PASSWORD, PATH_KEY):
        assert [text for text in texts if secret in text] == []


def test_logs_of_apprise_and_its_libraries_are_dropped_only_while_it_sends(everything_logged: io.StringIO) -> None:
    with pytest.raises(NotSent):
        send_by_apprise(Address("x", f"json://127.0.0.1:{free_port()}/{PATH_KEY}"), "subject", "body")
    assert everything_logged.getvalue() == ""
    logging.getLogger("urllib3.connectionpool").debug("heard again")
    assert everything_logged.getvalue() == "heard again\n"


def test_a_traceback_of_a_failed_delivery_tells_no_address() -> None:
    try:
        send_by_apprise(Address("x", f"json://a:{PASSWORD}@127.0.0.1:{free_port()}/{PATH_KEY}"), "subject", "body")
    except NotSent:
        told = traceback.format_exc()
    assert PASSWORD not in told
    assert PATH_KEY not in told


def test_parts_of_an_address_are_redacted_in_any_text(tmp_path: Path) -> None:
    address_of("env:A", tmp_path, {"A": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?to=anna@example.com"})
    address_of("env:B", tmp_path, {"B": "mailto://anna:p%40ss@mail.example.com/?to=boss@example.com"})
    assert redacted("A1BRTD4JD and TIiajkdnlazkcOXrIdevi7FQ, p@ss or p%40ss, by mail.example.com for anna") == (
        "[redacted] and [redacted], [redacted] or [redacted], by mail.example.com for anna"
    )


# --- processes ----------------------------------------------------------------------------------------------

DELIVER = """
import sys
from pathlib import Path
from catalogsync.reconcile.alerts import Alerts
from catalogsync.reconcile.project import AlertSpec
from catalogsync.reconcile.state import Memory
alerts = Alerts(Memory(Path(sys.argv[1])), sys.argv[2], AlertSpec(to=("env:ALERTS",)))
print(alerts.deliver(float(sys.argv[3])).sent)
"""


def _process(memory_path: Path, port: int, at: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", DELIVER, str(memory_path), SCOPE, str(at)],
        env={**os.environ, "ALERTS": f"json://127.0.0.1:{port}"},
        stdout=subprocess.PIPE,
        text=True,
    )


def _noted(path: Path, count: int) -> list[str]:
    """Store alerts to be sent; their subjects in order."""
    alerts = _alerts(Memory(path), "env:ALERTS")
    for number in range(count):
        alerts.note(turn("guard") if number % 2 == 0 else turn(), NIGHT + number)
    return ["refused by a guard", "recovered: no longer refused by a guard"] * (count // 2)


def test_of_two_processes_only_one_sends_each_message(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    subjects = _noted(path, 6)
    has_come, go_on = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        has_come.set()
        if number == 1:
            assert go_on.wait(60)

    with webhook() as hook:
        hook.hold = hold
        with _process(path, hook.port, NIGHT) as first:
            assert has_come.wait(60)
            with _process(path, hook.port, NIGHT + 1) as second:
                assert second.communicate()[0] == "0\n"
            go_on.set()
            assert first.communicate()[0] == "6\n"
    assert hook.titles == subjects


def test_processes_that_start_together_send_each_message_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    subjects = _noted(path, 6)
    with webhook() as hook:
        processes = [_process(path, hook.port, NIGHT) for _ in range(3)]
        sent = [int(process.communicate()[0]) for process in processes]
    assert sum(sent) == 6
    assert hook.titles == subjects


@pytest.mark.skipif(sys.platform == "win32", reason="killed as on POSIX")
def test_a_process_that_is_killed_after_sending_and_before_noting_it_sends_that_one_message_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "jobs.sqlite"
    _noted(path, 2)
    has_come, go_on = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        has_come.set()
        if number == 1:
            assert go_on.wait(60)

    with webhook() as hook:
        hook.hold = hold
        with _process(path, hook.port, NIGHT) as first:
            assert has_come.wait(60)
            first.kill()
            first.communicate()
        go_on.set()
        with _process(path, hook.port, NIGHT + CLAIM_S + 1) as second:
            assert second.communicate()[0] == "2\n"
    assert hook.titles == ["refused by a guard"] * 2 + ["recovered: no longer refused by a guard"]
