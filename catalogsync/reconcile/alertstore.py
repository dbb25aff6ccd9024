"""What is remembered of alerts: events that are open, messages, and for each place whether it has them.

A place is the name of an address. It takes its messages one after the other in their order: a process claims it for
one attempt at a time, so no two processes send it the same message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from catalogsync.reconcile.project import EVENTS, Event
from catalogsync.reconcile.state import Memory

SCHEMA = """
CREATE TABLE IF NOT EXISTS alert_open (
    scope TEXT NOT NULL, event TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (scope, event));
CREATE TABLE IF NOT EXISTS alert_message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, noted_at REAL NOT NULL,
    subject TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alert_waiting (
    message INTEGER NOT NULL, scope TEXT NOT NULL, place TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    is_over INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (message, place));
CREATE TABLE IF NOT EXISTS alert_place (
    scope TEXT NOT NULL, place TEXT NOT NULL, claim TEXT NOT NULL DEFAULT '', claimed_until REAL NOT NULL DEFAULT 0,
    told_until REAL, sent INTEGER NOT NULL DEFAULT 0, given_up INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, place))
"""

CLAIM_S = 300.0
"""How long a process may have a place for one attempt, which takes less; after that it is taken for dead."""

MOST_WAITING = 500
"""Messages of a job that wait for one place; of more, the oldest are given up."""


@dataclass(frozen=True)
class Waiting:
    """A message that a place does not have yet. Times are Unix seconds."""

    message: int
    noted_at: float
    subject: str
    body: str
    tries: int


def open_events(connection: sqlite3.Connection, scope: str) -> list[Event]:
    """The events that were told and are not over, in the order of EVENTS."""
    found = {row["event"] for row in connection.execute("SELECT event FROM alert_open WHERE scope = ?", (scope,))}
    return [event for event in EVENTS if event in found]


def change_open(
    connection: sqlite3.Connection, scope: str, begun: Iterable[Event], over: Iterable[Event], at: float
) -> None:
    """Open and close events."""
    connection.executemany("DELETE FROM alert_open WHERE scope = ? AND event = ?", [(scope, event) for event in over])
    connection.executemany("INSERT INTO alert_open VALUES (?, ?, ?)", [(scope, event, at) for event in begun])


def add_message(
    connection: sqlite3.Connection, scope: str, places: Sequence[str], at: float, subject: str, body: str
) -> list[str]:
    """Store a message that waits for each place; the subjects of those that were given up for it, a place each."""
    message = connection.execute(
        "INSERT INTO alert_message (scope, noted_at, subject, body) VALUES (?, ?, ?, ?)", (scope, at, subject, body)
    ).lastrowid
    lost = []
    for place in places:
        connection.execute(
            "INSERT INTO alert_waiting (message, scope, place) VALUES (?, ?, ?)", (message, scope, place)
        )
        waiting = waiting_of(connection, scope, place)
        too_many = waiting[: max(0, len(waiting) - MOST_WAITING)]
        give_up(connection, scope, place, too_many)
        lost += [one.subject for one in too_many]
    return lost


def waiting_of(connection: sqlite3.Connection, scope: str, place: str) -> list[Waiting]:
    """What a place does not have yet, in order."""
    rows = connection.execute(
        "SELECT m.id, m.noted_at, m.subject, m.body, w.tries FROM alert_waiting w JOIN alert_message m"
        " ON m.id = w.message WHERE w.scope = ? AND w.place = ? AND NOT w.is_over ORDER BY m.id",
        (scope, place),
    )
    return [Waiting(*row) for row in rows]


def readdress(connection: sqlite3.Connection, scope: str, places: Collection[str]) -> None:
    """What waits for a place that is no longer one goes to the present ones, unless they have had the message."""
    rows = connection.execute("SELECT message, place FROM alert_waiting WHERE scope = ? AND NOT is_over", (scope,))
    for message, old in rows.fetchall() if places else ():
        if old not in places:
            connection.execute("DELETE FROM alert_waiting WHERE message = ? AND place = ?", (message, old))
            connection.executemany(
                "INSERT OR IGNORE INTO alert_waiting (message, scope, place) VALUES (?, ?, ?)",
                [(message, scope, place) for place in places],
            )
    _clean(connection, scope)


def claim(connection: sqlite3.Connection, scope: str, place: str, token: str, now_at: float) -> bool:
    """Take a place for one attempt; False where another process has it. A claim that has run out is nobody's, and so
    is one that ends much later than any would: a clock was wrong.
    """
    connection.execute("INSERT OR IGNORE INTO alert_place (scope, place) VALUES (?, ?)", (scope, place))
    until = now_at + CLAIM_S
    taken = connection.execute(
        "UPDATE alert_place SET claim = ?, claimed_until = ? WHERE scope = ? AND place = ?"
        " AND (claim IN ('', ?) OR NOT claimed_until BETWEEN ? AND ?)",
        (token, until, scope, place, token, now_at, until + CLAIM_S),
    )
    return taken.rowcount == 1


def release(connection: sqlite3.Connection, scope: str, place: str, token: str) -> None:
    """Give a place back."""
    connection.execute(
        "UPDATE alert_place SET claim = '', claimed_until = 0 WHERE scope = ? AND place = ? AND claim = ?",
        (scope, place, token),
    )


def told_until(connection: sqlite3.Connection, scope: str, place: str) -> float | None:
    """The moment of the last digest, sent or empty; None where there was none since digests are on."""
    row = connection.execute(
        "SELECT told_until FROM alert_place WHERE scope = ? AND place = ?", (scope, place)
    ).fetchone()
    return row["told_until"] if row else None


def set_told_until(connection: sqlite3.Connection, scope: str, place: str, at: float | None) -> None:
    """Note the moment of a digest, or that there are none."""
    connection.execute("UPDATE alert_place SET told_until = ? WHERE scope = ? AND place = ?", (at, scope, place))


def mark_sent(connection: sqlite3.Connection, scope: str, place: str, messages: Sequence[Waiting]) -> None:
    """These wait no more: the place has them."""
    _remove(connection, scope, place, messages, "sent")


def give_up(connection: sqlite3.Connection, scope: str, place: str, messages: Sequence[Waiting]) -> None:
    """These wait no more, and the place has not got them."""
    connection.execute("INSERT OR IGNORE INTO alert_place (scope, place) VALUES (?, ?)", (scope, place))
    _remove(connection, scope, place, messages, "given_up")


def _remove(connection: sqlite3.Connection, scope: str, place: str, messages: Sequence[Waiting], count: str) -> None:
    connection.executemany(
        "UPDATE alert_waiting SET is_over = 1 WHERE message = ? AND place = ?",
        [(one.message, place) for one in messages],
    )
    connection.execute(
        f"UPDATE alert_place SET {count} = {count} + ? WHERE scope = ? AND place = ?", (len(messages), scope, place)
    )
    _clean(connection, scope)


def _clean(connection: sqlite3.Connection, scope: str) -> None:
    """Forget messages that wait for no place."""
    waits = "(SELECT message FROM alert_waiting WHERE scope = ? AND NOT is_over)"
    connection.execute(f"DELETE FROM alert_message WHERE scope = ? AND id NOT IN {waits}", (scope, scope))
    connection.execute(f"DELETE FROM alert_waiting WHERE scope = ? AND message NOT IN {waits}", (scope, scope))


def mark_failed(connection: sqlite3.Connection, place: str, messages: Sequence[Waiting]) -> None:
    """One attempt more that did not succeed."""
    connection.executemany(
        "UPDATE alert_waiting SET tries = tries + 1 WHERE message = ? AND place = ?",
        [(one.message, place) for one in messages],
    )


@dataclass(frozen=True)
class Counts:
    """Messages of a job, one for each address: that went out, that wait after a failed attempt, that never went."""

    sent: int
    undelivered: int
    given_up: int


def counts_of(memory: Memory, scope: str) -> Counts:
    """How a job's alerts stand."""
    with memory.with_tables(SCHEMA).transaction() as connection:
        sent, given_up = connection.execute(
            "SELECT COALESCE(SUM(sent), 0), COALESCE(SUM(given_up), 0) FROM alert_place WHERE scope = ?", (scope,)
        ).fetchone()
        (undelivered,) = connection.execute(
            "SELECT COUNT(*) FROM alert_waiting WHERE scope = ? AND tries > 0 AND NOT is_over", (scope,)
        ).fetchone()
    return Counts(sent, undelivered, given_up)
