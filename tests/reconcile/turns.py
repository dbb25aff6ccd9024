"""Turns of a job as alerts, metrics and logs are told of them, and a send that is watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from catalogsync.reconcile.addresses import Address
from catalogsync.reconcile.alerts import Alerts
from catalogsync.reconcile.outcome import Outcome
from catalogsync.reconcile.project import AlertSpec
from catalogsync.reconcile.sending import NotSent
from catalogsync.reconcile.state import Memory, scope_of

NIGHT = 1_795_658_400.0
"""2026-11-26 02:00 UTC, a Thursday."""

DAY_S = 86_400.0

SCOPE = scope_of(Path("catalogsync.yaml"), "prices")

_PLAIN = Outcome(job="prices", started_at=NIGHT, ended_at=NIGHT + 3, exit_code=0, words="nothing to do")


def turn(*events: Any, **changed: Any) -> Outcome:
    """A turn with these events open after it."""
    return replace(_PLAIN, events=events, **changed)


@dataclass
class Post:
    """Takes messages as apprise would; the names in `down` take nothing."""

    taken: list[tuple[str, str, str]] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    attempts: int = 0

    def __call__(self, address: Address, subject: str, body: str) -> None:
        self.attempts += 1
        if address.name in self.down:
            raise NotSent("nobody is there")
        self.taken.append((address.name, subject, body))

    @property
    def subjects(self) -> list[str]:
        return [subject.removeprefix("catalogsync: prices — ") for _, subject, _ in self.taken]


@dataclass
class Desk:
    """A memory, a post, and the alerts of the job `prices` with any spec."""

    memory: Memory
    post: Post = field(default_factory=Post)
    environment: dict[str, str] = field(default_factory=lambda: {"ALERTS": "json://one", "BOSS": "json://two"})

    def alerts(self, send: Callable[[Address, str, str], None] | None = None, **spec: Any) -> Alerts:
        """As a process that has just started makes them."""
        timezone = spec.pop("timezone", "UTC")
        return Alerts(
            self.memory,
            SCOPE,
            AlertSpec(**{"to": ("env:ALERTS",), **spec}),
            timezone=timezone,
            environment=self.environment,
            send=send or self.post,
            clock=lambda: 0.0,
        )

    def turn(self, outcome: Outcome, at: float, **spec: Any) -> list[str]:
        """Note a turn and deliver; the subjects that came of it, without the job."""
        before = len(self.post.taken)
        alerts = self.alerts(**spec)
        alerts.note(outcome, at)
        alerts.deliver(at)
        return self.post.subjects[before:]
