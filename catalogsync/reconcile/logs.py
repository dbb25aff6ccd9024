"""The log of jobs as JSON, a line each on stderr (`--log-format json`), without secrets.

Whatever this program or a library logs goes through one formatter: UTC time, level, ids, and no secret. In text
format nothing is written here: people read what the command line tells them.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

from catalogsync.reconcile.outcome import Outcome
from catalogsync.reconcile.secrets import redacted

LogFormat = Literal["text", "json"]

MOST_DETAILS = 40
"""Lines of a turn's details that its line of the log holds."""

MOST_DEPTH = 6
"""Fields within fields; what is deeper is written as Python would."""

_SECRET_NAMES = re.compile(
    r"(?i)token|secret|passw|passphrase|authori[sz]ation|api[_-]?key|private[_-]?key|cookie|credential|^auth$|bearer"
)
"""Fields that are left out, whatever is in them."""

_log = logging.getLogger("catalogsync")


# --- what is logged -----------------------------------------------------------------------------------------


def log_outcome(outcome: Outcome) -> None:
    """One line for a turn: what it came to, and its figures."""
    details = outcome.details[:MOST_DETAILS]
    fields: dict[str, Any] = {
        "job": outcome.job,
        "run_id": outcome.run_id,
        "result": outcome.result,
        "exit_code": outcome.exit_code,
        "words": outcome.words,
        "details": [*details, *([f"… and {more} more"] if (more := len(outcome.details) - MOST_DETAILS) > 0 else [])],
        "events": list(outcome.events),
        "sheet": outcome.sheet,
        "started_at": _iso(outcome.started_at),
        "ended_at": _iso(outcome.ended_at),
        "duration_s": round(outcome.ended_at - outcome.started_at, 3),
        "planned": dict(outcome.planned),
        "done": dict(outcome.done),
        "rejected_rows": outcome.rejected_rows,
        "conflicts": outcome.conflicts,
        "reads": outcome.reads,
        "writes": outcome.writes,
        "throttled": outcome.throttled,
        "files": [str(path) for path in outcome.files],
    }
    log_event(_level_of(outcome), "turn ended", **fields)


def log_operation(run_id: int, op: int, kind: str, key: str, outcome: str, *, words: str = "") -> None:
    """One line for an operation of a run: ``add``, ``update`` or ``delete`` of a key, and its outcome in the journal.

    `words` is what the remote API said of it.
    """
    level = {"failed": logging.ERROR, "unknown": logging.WARNING, "conflict": logging.WARNING}.get(
        outcome, logging.INFO
    )
    log_event(level, "operation", run_id=run_id, op=op, kind=kind, key=key, outcome=outcome, words=words)


def log_event(level: int, event: str, /, **fields: Any) -> None:
    """One line with any fields, at a level of `logging`."""
    _log.log(level, event, extra={"catalogsync_fields": fields})


def with_fields(**fields: Any) -> AbstractContextManager[Any]:
    """While the block runs, every line has these fields, those of libraries too: ``job``, ``run_id``."""
    return structlog.contextvars.bound_contextvars(**fields)


def _level_of(outcome: Outcome) -> int:
    if outcome.is_skipped or (outcome.is_good and not outcome.events):
        return logging.INFO
    return logging.ERROR if "failure" in outcome.events or outcome.exit_code in {1, 7} else logging.WARNING


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- how it is written --------------------------------------------------------------------------------------


def configure(format: LogFormat, stream: TextIO | None = None) -> None:
    """Choose the format of the log of this process; `stream` is stderr. May be called again.

    ``json``: everything from level INFO on is written, of libraries and Python's own warnings too. ``text``: nothing
    is written, also not by libraries that would print for want of a setting.
    """
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _JsonHandler | _Silence)]:
        root.removeHandler(handler)
    structlog.configure(
        processors=[ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(format == "json")
    root.addHandler(_JsonHandler(stream) if format == "json" else _Silence())
    root.setLevel(logging.INFO if format == "json" else logging.WARNING)


class _Silence(logging.NullHandler):
    """Without a handler, libraries' warnings would reach stderr."""


class _JsonHandler(logging.StreamHandler[TextIO]):
    """Writes lines; one that cannot be made is a line that says so, not a traceback in between."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self.setFormatter(
            ProcessorFormatter(
                foreign_pre_chain=[_own_fields, structlog.stdlib.ExtraAdder()],
                processors=[
                    structlog.contextvars.merge_contextvars,
                    _about_the_record,
                    structlog.processors.format_exc_info,
                    without_secrets,
                    as_json,
                ],
                keep_exc_info=False,
            )
        )

    def handleError(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            self.stream.write(json.dumps({"event": "a line of the log that cannot be written", "logger": record.name}))
            self.stream.write(self.terminator)


_Event = MutableMapping[str, Any]


def _own_fields(_logger: Any, _method: str, event: _Event) -> _Event:
    event.update(getattr(event.get("_record"), "catalogsync_fields", {}))
    return event


def _about_the_record(_logger: Any, _method: str, event: _Event) -> _Event:
    """The time of the record, its level and its logger first, then what it says."""
    record: logging.LogRecord = event["_record"]
    first = {
        "timestamp": _iso(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event.get("event", ""),
    }
    ours = {
        *first,
        "_record",
        "_from_structlog",
        "catalogsync_fields",
        "message",
        "asctime",
    }  # the last of others' doing
    return {**first, **{name: value for name, value in event.items() if name not in ours}}


def without_secrets(_logger: Any, _method: str, event: _Event) -> Mapping[str, Any]:
    """The event without fields that are named like secrets, and without any secret that is known in any text."""
    return {name: _cleaned(value) for name, value in event.items() if not _SECRET_NAMES.search(name)}


def _cleaned(value: Any, depth: int = 0) -> Any:
    inner = depth + 1
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return redacted(value)
        case Mapping() if depth < MOST_DEPTH:
            named = ((redacted(str(name)), one) for name, one in value.items())
            return {name: _cleaned(one, inner) for name, one in named if not _SECRET_NAMES.search(name)}
        case list() | tuple() | set() | frozenset() if depth < MOST_DEPTH:
            return [_cleaned(one, inner) for one in value]
        case _:
            return redacted(repr(value))


_BREAKS = re.compile("[\ud800-\udfff\u2028\u2029\x85\x7f]")


def as_json(_logger: Any, _method: str, event: Mapping[str, Any]) -> str:
    """The event as one line of JSON that any reader takes for one line, and any encoding can hold."""
    line = json.dumps(event, ensure_ascii=False)
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
