"""Alerts of a job: each event is told when it begins and when it is over, once, and nothing in between.

`Alerts.note` stores what is to be told, `Alerts.deliver` sends what is due. A process that dies between the two loses
nothing. One that dies between sending a message and noting that it was sent sends this message again: a server that has
taken a message cannot be asked whether it did.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection
from zoneinfo import ZoneInfo

from catalogsync.errors import UserError
from catalogsync.reconcile import alertstore as store
from catalogsync.reconcile.addresses import Address, address_of, name_of
from catalogsync.reconcile.alertstore import Waiting
from catalogsync.reconcile.alertwords import body_of, digest_body, digest_subject, subject_of
from catalogsync.reconcile.outcome import Outcome
from catalogsync.reconcile.project import EVENTS, AlertSpec, Event
from catalogsync.reconcile.sending import NotSent, Send, send_by_apprise
from catalogsync.reconcile.state import Memory

KEPT_S = 3 * 86_400.0
"""How long a message that nobody takes is tried again."""

LEAST_TRIES = 3
"""It is tried so often in any case: a job may run once a week."""

_log = logging.getLogger("catalogsync.alerts")


@dataclass(frozen=True)
class Delivery:
    """What `Alerts.deliver` came to. `problems` name each place that took nothing, and why; `given_up` are the
    subjects of messages that are not tried any more.
    """

    sent: int = 0
    problems: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()


def news_of(outcome: Outcome, was_open: Sequence[Event], on: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """The events that have begun and those that are over, in the order of EVENTS.

    An event that stays open is not told again, whatever became of its content: another guard, more conflicts. A turn
    that looked at nothing says nothing, and one that failed nothing of what was open before. What was told once is
    told as over too, even where `events` says no more of it.
    """
    if outcome.is_skipped:
        return [], []
    begun = [event for event in EVENTS if event in outcome.events and event in on and event not in was_open]
    is_known = "failure" not in outcome.events
    over = [event for event in EVENTS if is_known and event in was_open and event not in outcome.events]
    return begun, over


def digest_moment(now_at: float, digest: str, timezone: str) -> float:
    """The last time that it was `digest` (``08:00``) o'clock in the zone; Unix seconds."""
    zone = ZoneInfo(timezone)
    hour, minute = (int(part) for part in digest.split(":"))
    today = datetime.fromtimestamp(now_at, zone).replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    days = (today - timedelta(days=back) for back in range(3))
    return next(at for at in (day.timestamp() for day in days) if at <= now_at)


class Alerts:
    """The alerts of one job.

    `folder` is that of the project file, for ``file:`` references. `send` sends one message and raises NotSent where
    it did not go out. `clock` counts the seconds that sending takes.
    """

    def __init__(
        self,
        memory: Memory,
        scope: str,
        spec: AlertSpec,
        *,
        timezone: str = "UTC",
        folder: Path = Path(),
        environment: Mapping[str, str] = os.environ,
        send: Send = send_by_apprise,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory = memory.with_tables(store.SCHEMA)
        self._scope = scope
        self._spec = spec
        self._timezone = timezone
        self._folder = folder
        self._environment = environment
        self._send = send
        self._clock = clock
        self._entries = {name_of(entry): entry for entry in spec.to}
        for place in self._entries:
            with suppress(UserError):  # told when it is to be used; here it only becomes known as a secret
                self._address(place)

    def note(self, outcome: Outcome, now_at: float) -> None:
        """Store what is to be told of a turn. Nothing is sent yet. Noting a turn twice is the same as once."""
        with self._memory.transaction() as connection:
            begun, over = news_of(outcome, store.open_events(connection, self._scope), self._spec.events)
            if not self._entries:  # nobody is told: what is open now is news for the first who will be
                begun = []
            if not begun and not over:
                return
            store.change_open(connection, self._scope, begun, over, now_at)
            if not self._entries:
                return
            subject, body = subject_of(outcome.job, begun, over), body_of(outcome, begun, self._timezone)
            lost = store.add_message(connection, self._scope, list(self._entries), now_at, subject, body)
        self._log_given_up(lost)

    def deliver(self, now_at: float) -> Delivery:
        """Send what is due, each address by itself and in order; what fails is tried again by the next call.

        Raises nothing for an alert that cannot be sent: it is told in the answer, the log and the metrics.
        """
        started = self._clock()
        with self._memory.transaction() as connection:
            store.readdress(connection, self._scope, self._entries)
        sent, problems, given_up = 0, [], []
        for place in self._entries:
            token = uuid.uuid4().hex
            while batch := self._claimed(place, token, now_at, now_at + self._clock() - started):
                problem = self._attempt(place, token, batch)
                if problem is None:
                    self._mark_sent(place, batch, now_at)
                    sent += 1
                    continue
                given_up += self._mark_failed(place, token, batch, now_at)
                problems.append(f"{place}: {problem}")
                _log.warning("alert not delivered", extra={"job": self._job, "place": place, "why": problem})
                break
        self._log_given_up(given_up)
        return Delivery(sent, tuple(problems), tuple(given_up))

    def _address(self, place: str) -> Address:
        return address_of(self._entries[place], self._folder, self._environment)

    @property
    def _job(self) -> str:
        return self._scope.partition("/")[2] or self._scope

    def _claimed(self, place: str, token: str, now_at: float, at: float) -> list[Waiting]:
        """What is to be sent next; the place is ours then. Nothing where nothing is due or another process has it."""
        with self._memory.transaction() as connection:
            if not store.claim(connection, self._scope, place, token, at):
                return []
            batch = self._due(connection, place, now_at)
            if not batch:
                store.release(connection, self._scope, place, token)
            return batch

    def _due(self, connection: Connection, place: str, now_at: float) -> list[Waiting]:
        waiting = store.waiting_of(connection, self._scope, place)
        told = store.told_until(connection, self._scope, place)
        if not self._spec.digest:
            if told is not None:
                store.set_told_until(connection, self._scope, place, None)
            return waiting[:1]
        moment = digest_moment(now_at, self._spec.digest, self._timezone)
        if told is None or told > now_at:  # digests have just begun, or a clock was wrong
            told = waiting[0].noted_at if waiting else moment
        if waiting and told < moment:
            return waiting
        store.set_told_until(connection, self._scope, place, moment)
        return []

    def _attempt(self, place: str, token: str, batch: Sequence[Waiting]) -> str | None:
        """Why the messages did not go out; None where they did."""
        subject, body = self._text(batch)
        try:
            self._send(self._address(place), subject, body)
        except (NotSent, UserError) as error:
            return str(error).removeprefix(f"{place}: ")
        except Exception as error:  # its words may hold the address
            return f"the message could not be sent ({type(error).__name__})"
        except BaseException:  # stopped in the middle: it counts as not sent
            with self._memory.transaction() as connection:
                store.release(connection, self._scope, place, token)
            raise
        return None

    def _text(self, batch: Sequence[Waiting]) -> tuple[str, str]:
        if not self._spec.digest:
            return batch[0].subject, batch[0].body
        with self._memory.transaction() as connection:
            still_open = store.open_events(connection, self._scope)
        messages = [(one.subject, one.body) for one in batch]
        return digest_subject(self._job, len(batch)), digest_body(messages, still_open)

    def _mark_sent(self, place: str, batch: Sequence[Waiting], now_at: float) -> None:
        with self._memory.transaction() as connection:
            store.mark_sent(connection, self._scope, place, batch)
            if self._spec.digest:
                moment = digest_moment(now_at, self._spec.digest, self._timezone)
                store.set_told_until(connection, self._scope, place, moment)

    def _mark_failed(self, place: str, token: str, batch: Sequence[Waiting], now_at: float) -> list[str]:
        """Count the attempt for all that waits there, give up what was tried too long; the subjects of these."""
        with self._memory.transaction() as connection:
            store.mark_failed(connection, place, store.waiting_of(connection, self._scope, place))
            old = [one for one in batch if now_at - one.noted_at >= KEPT_S and one.tries + 1 >= LEAST_TRIES]
            store.give_up(connection, self._scope, place, old)
            store.release(connection, self._scope, place, token)
        return [one.subject for one in old]

    def _log_given_up(self, subjects: Sequence[str]) -> None:
        for subject in subjects:
            _log.error("alert given up", extra={"job": self._job, "subject": subject})
