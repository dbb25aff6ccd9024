"""The log as JSON: each line is one, has its ids, and no secret; in text format nothing is written."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.reconcile import logs
from catalogsync.reconcile.secrets import keep_secret
from tests.reconcile.turns import turn

TOKEN = "sEcretOfAnAccount42"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The log in JSON, as it is after this test never was."""
    root = logging.getLogger()
    level = root.level
    written = io.StringIO()
    logs.configure("json", written)
    yield written
    logs.configure("text")
    root.setLevel(level)
    structlog.reset_defaults()
    logging.captureWarnings(False)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Every line of the log; each must be JSON."""
    text = stream.getvalue()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_turn_is_a_line_with_its_ids_and_figures(stream: io.StringIO) -> None:
    outcome = turn(
        "rejected",
        exit_code=3,
        words="2 added, 1 row rejected",
        details=("prices.csv:7 (Price): “x” is no number",),
        run_id=12,
        sheet="prices.csv",
        planned={"add": 2},
        done={"add": 2},
        rejected_rows=1,
        reads=4,
        writes=1,
        files=(Path("reviews") / "a.xlsx",),
    )
    logs.log_outcome(outcome)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "catalogsync",
        "event": "turn ended",
        "job": "prices",
        "run_id": 12,
        "result": "rejected",
        "exit_code": 3,
        "words": "2 added, 1 row rejected",
        "details": ["prices.csv:7 (Price): “x” is no number"],
        "events": ["rejected"],
        "sheet": "prices.csv",
        "started_at": "2026-11-26T02:00:00.000Z",
        "ended_at": "2026-11-26T02:00:03.000Z",
        "duration_s": 3.0,
        "planned": {"add": 2},
        "done": {"add": 2},
        "rejected_rows": 1,
        "conflicts": 0,
        "reads": 4,
        "writes": 1,
        "throttled": 0,
        "files": [str(Path("reviews") / "a.xlsx")],
    }


def test_levels_say_how_bad_a_turn_is(stream: io.StringIO) -> None:
    logs.log_outcome(turn())
    logs.log_outcome(turn(is_skipped=True, exit_code=6))
    logs.log_outcome(turn("guard", exit_code=4))
    logs.log_outcome(turn(exit_code=6))
    logs.log_outcome(turn("failure", exit_code=6))
    logs.log_outcome(turn(exit_code=7))
    assert [line["level"] for line in lines(stream)] == ["info", "info", "warning", "warning", "error", "error"]


def test_details_of_a_turn_are_bounded(stream: io.StringIO) -> None:
    logs.log_outcome(turn(details=tuple(str(number) for number in range(100))))
    assert lines(stream)[0]["details"] == [*(str(number) for number in range(40)), "… and 60 more"]


def test_an_operation_is_a_line_with_its_ids(stream: io.StringIO) -> None:
    logs.log_operation(12, 3, "update", "00415", "done")
    logs.log_operation(12, 4, "add", "00416", "failed", words="Price: too long")
    found = [
        {name: line[name] for name in ("level", "run_id", "op", "kind", "key", "outcome")} for line in lines(stream)
    ]
    assert found == [
        {"level": "info", "run_id": 12, "op": 3, "kind": "update", "key": "00415", "outcome": "done"},
        {"level": "error", "run_id": 12, "op": 4, "kind": "add", "key": "00416", "outcome": "failed"},
    ]


def test_lines_of_libraries_have_the_ids_of_the_turn_they_belong_to(stream: io.StringIO) -> None:
    with logs.with_fields(job="prices", run_id=12):
        logging.getLogger("urllib3").warning("retrying %s", "x", extra={"attempt": 2})
        structlog.get_logger("stamina").warning("stamina.retry_scheduled", wait_for=1.5)
    logging.getLogger("urllib3").info("later")
    assert [{name: value for name, value in line.items() if name != "timestamp"} for line in lines(stream)] == [
        {"level": "warning", "logger": "urllib3", "event": "retrying x", "attempt": 2, "job": "prices", "run_id": 12},
        {
            "level": "warning",
            "logger": "stamina",
            "event": "stamina.retry_scheduled",
            "wait_for": 1.5,
            "job": "prices",
            "run_id": 12,
        },
        {"level": "info", "logger": "urllib3", "event": "later"},
    ]


def test_what_only_developers_read_is_not_written(stream: io.StringIO) -> None:
    logging.getLogger("urllib3.connectionpool").debug("POST /x")
    assert lines(stream) == []


def test_warnings_and_errors_of_python_are_lines_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        warnings.warn(f"old: {TOKEN}", stacklevel=1)
    keep_secret(TOKEN)
    try:
        raise ValueError(f"bad {TOKEN}")
    except ValueError:
        logging.getLogger("any").exception("it failed", stack_info=True)
    (failed,) = [line for line in lines(stream) if line["logger"] == "any"]
    assert "ValueError: bad [redacted]" in failed["exception"]
    assert "Stack (most recent call last)" in failed["stack_info"]


def test_a_line_that_cannot_be_written_is_a_line_that_says_so(stream: io.StringIO) -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise RuntimeError

    ours = next(one for one in logging.getLogger().handlers if getattr(one, "stream", None) is stream)
    ours.handle(logging.LogRecord("any", logging.WARNING, "x.py", 1, "%d", ("x",), None))  # pytest's own would raise
    logs.log_event(logging.INFO, "x", field=Unprintable())
    assert lines(stream) == [
        {"event": "a line of the log that cannot be written", "logger": "any"},
        {"event": "a line of the log that cannot be written", "logger": "catalogsync"},
    ]


# --- secrets ------------------------------------------------------------------------------------------------


def test_a_known_secret_appears_nowhere(stream: io.StringIO) -> None:
    keep_secret(TOKEN)
    with logs.with_fields(note=TOKEN):
        logging.getLogger("a").warning("in words: %s", TOKEN)
        logging.getLogger("b").warning("as extra", extra={"place": f"x{TOKEN}y"})
        structlog.get_logger("c").warning(f"in an event {TOKEN}", deep={"list": [{"text": TOKEN, TOKEN: 1}]})
        logs.log_event(logging.INFO, TOKEN, path=Path(TOKEN), error=ValueError(TOKEN), raw=TOKEN.encode())
        logs.log_operation(1, 2, "add", TOKEN, "failed", words=TOKEN)
        logs.log_outcome(turn(words=TOKEN, details=(TOKEN,), files=(Path(TOKEN),), done={TOKEN: 1}))
    assert len(lines(stream)) == 6
    assert TOKEN not in stream.getvalue()


def test_fields_that_are_named_like_secrets_are_left_out(stream: io.StringIO) -> None:
    names = (
        "token access_token CLIENT_SECRET password Authorization api_key apikey cookie credentials auth bearer".split()
    )
    logs.log_event(logging.INFO, "x", **dict.fromkeys(names, TOKEN), key="00415", author="Anna")
    logging.getLogger("lib").info("y", extra={"token": TOKEN, "headers": {"Authorization": TOKEN, "Accept": "*"}})
    structlog.get_logger("lib").info("z", token=TOKEN)
    found = [{name: one for name, one in line.items() if name not in {"timestamp", "logger"}} for line in lines(stream)]
    assert found == [
        {"level": "info", "event": "x", "key": "00415", "author": "Anna"},
        {"level": "info", "event": "y", "headers": {"Accept": "*"}},
        {"level": "info", "event": "z"},
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer [redacted]"),
        ("eyJ0eXAiOiJKV1Qi.eyJhdWQiOiIx.c2lnbmF0dXJl said no", "[redacted] said no"),
        (f"smtp://anna:{TOKEN}@example.com/x", "smtp://[redacted]@example.com/x"),
        ("https://example.kommo.com/api/v4: 12:30", "https://example.kommo.com/api/v4: 12:30"),
    ],
)
def test_what_looks_like_a_secret_is_redacted_even_if_nobody_knows_it(
    stream: io.StringIO, text: str, written: str
) -> None:
    logging.getLogger("lib").warning(text)
    assert [line["event"] for line in lines(stream)] == [written]


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(TOKEN) | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just(TOKEN), inner),
            max_leaves=8,
        ),
        max_size=4,
    ),
    st.text(),
)
def test_whatever_is_logged_is_one_line_of_json_without_the_secret(
    stream: io.StringIO, fields: dict[str, Any], event: str
) -> None:
    keep_secret(TOKEN)
    before = len(stream.getvalue().splitlines())
    logs.log_event(logging.WARNING, event, **fields)
    new = stream.getvalue().splitlines()[before:]
    assert len(new) == 1
    line = json.loads(new[0])
    assert (line["level"], line["logger"]) == ("warning", "catalogsync")
    assert TOKEN not in new[0]
    new[0].encode("utf-8")


def test_numbers_that_json_has_not_are_text(stream: io.StringIO) -> None:
    logs.log_event(logging.INFO, "x", price=Decimal("19.90"), rate=float("nan"))
    assert '"price": "Decimal(\'19.90\')", "rate": "nan"' in stream.getvalue()


# --- formats ------------------------------------------------------------------------------------------------

PROGRAM = """
import logging, sys
import stamina, structlog
from catalogsync.reconcile import logs
from catalogsync.reconcile.outcome import Outcome
if sys.argv[1] != "none":
    logs.configure(sys.argv[1])
logs.log_outcome(Outcome("prices", 0, 1, 4, "refused", events=("guard",)))
logging.getLogger("urllib3").warning("retrying")
if sys.argv[1] != "none":
    retry = stamina.RetryingCaller(attempts=2, wait_initial=0, wait_max=0, wait_jitter=0)
    def fail(): raise ValueError("x")
    try:
        retry(ValueError, fail)
    except ValueError:
        pass
print("words for people", file=sys.stderr)
"""


def _run(format: str) -> tuple[str, str]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, format],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        env=environment,
    )
    return run.stdout, run.stderr


def test_in_text_format_people_read_what_they_did_before() -> None:
    assert _run("text") == ("", "words for people\n")


def test_in_json_format_lines_go_to_stderr_and_nothing_to_stdout() -> None:
    out, err = _run("json")
    *found, words = err.splitlines()
    assert (out, words) == ("", "words for people")
    assert [json.loads(line)["event"] for line in found] == ["turn ended", "retrying", "stamina.retry_scheduled"]


def test_formats_may_be_changed_and_lines_are_written_once(stream: io.StringIO) -> None:
    other = io.StringIO()
    logs.configure("json", other)
    logging.getLogger("lib").warning("once")
    logs.configure("text")
    logging.getLogger("lib").warning("never")
    assert stream.getvalue() == ""
    assert [line["event"] for line in lines(other)] == ["once"]
