"""New options of fields, added before the elements that hold them. Through API v4 whatever the dialect: v2 cannot.

A change of a field names all its options (api/v4_options.py). So the field is read again just before, and every option
that it has goes along as it was read. One that somebody else added in the meantime is taken for the one wanted. Nothing
goes out twice unseen: after a lost answer the field is read, and read again after the settling time; only what is not
there then is sent again. An answer in which an option is missing, or got another caption, ends the run.

Fields have no time of their last edit to compare with: what somebody changes between the read and the write is lost.
Nothing of a plan's elements is sent before all its options are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from catalogsync import captions, newoptions
from catalogsync.api import v4_options
from catalogsync.api.client import Client
from catalogsync.api.v4_options import Option
from catalogsync.budget import Purse, spending
from catalogsync.celltext import quoted
from catalogsync.errors import ApiError, CatalogSyncError, InDoubt, Problem, StalePlan, Stopped, UnexpectedAnswer
from catalogsync.journal import Journal
from catalogsync.model import AddedOptions, AddOptions
from catalogsync.plan import Plan
from catalogsync.stopping import Stop

MOST_TRIES = 3
"""So often new options go out while their answers are lost."""


@dataclass(frozen=True, slots=True)
class WithOptions:
    """A plan with the ids of its new options, what was sent for them, and why not all of them are there."""

    plan: Plan
    added: tuple[AddedOptions, ...] = ()
    write_requests: int = 0
    stopped_by: CatalogSyncError | None = None


def add_options(
    plan: Plan, client: Client, journal: Journal, run_id: int, *, settle_s: float, stop: Stop
) -> WithOptions:
    """Add what the plan's fields lack, field by field; stops at the first that cannot be done."""
    made = WithOptions(plan)
    if not plan.options:
        return made
    stop.is_heeded = True
    try:
        for wanted in plan.options:
            field = _Field(made.plan, wanted, client, journal, run_id, settle_s, stop)
            try:
                added = field.add_within_budget()
            except CatalogSyncError as error:
                return replace(made, write_requests=made.write_requests + field.sent_count, stopped_by=error)
            done = record(made.plan, added, journal, run_id)
            made = WithOptions(done, (*made.added, added), made.write_requests + field.sent_count)
    finally:
        stop.is_heeded = False
    return made


def record(plan: Plan, added: AddedOptions, journal: Journal, run_id: int) -> Plan:
    """The plan with the ids of options that are there now, journalled as the run's."""
    done = newoptions.with_ids(plan, [added])
    changed = [new for old, new in zip(plan.changes, done.changes, strict=True) if new is not old]
    journal.options_added(run_id, added, done, changed)
    return done


def settled(plan: Plan, wanted: AddOptions, client: Client, *, wait_s: float, stop: Stop) -> AddedOptions | None:
    """What became of options whose answer was lost: their ids, or None where they are not there after `wait_s` either.

    Raises ApiError where the field cannot be read, StalePlan where it is not what the plan was made for.
    """
    for pause_s in (0.0, wait_s):
        if pause_s > 0:
            client.budget.pause(pause_s, stop.sleep)
        found = _found(plan, wanted, client.options(plan.catalog_id, wanted.field_id))
        if len(found) == len(wanted.captions):
            return AddedOptions(wanted.field_id, found)
        if wait_s <= 0:
            break
    return None


@dataclass
class _Field:
    """The new options of one field."""

    plan: Plan
    wanted: AddOptions
    client: Client
    journal: Journal
    run_id: int
    settle_s: float
    stop: Stop
    sent_count: int = 0

    def add_within_budget(self) -> AddedOptions:
        """As `add`, begun only if the budget suffices for the read and the write. Raises BudgetSpent too."""
        budget = self.client.budget
        purses = budget.reserve(2)
        if purses is None:
            raise budget.spent(needed=2)
        try:
            with spending(purses[0]):
                return self.add()
        finally:
            budget.give_back(purses)

    def add(self) -> AddedOptions:
        """Add those that are not there. Raises ApiError, StalePlan and Stopped."""
        lost: ApiError | None = None
        adopted: tuple[str, ...] = ()
        while self.sent_count < MOST_TRIES:
            self._heed()
            held = self.client.options(self.plan.catalog_id, self.wanted.field_id)
            found = _found(self.plan, self.wanted, held)
            missing = [caption for caption in self.wanted.captions if caption not in found]
            if lost is None:
                adopted = tuple(found)
            if not missing:
                return AddedOptions(self.wanted.field_id, found, adopted)
            try:
                answered = self._send(held, missing)
            except (InDoubt, UnexpectedAnswer) as error:  # both after the request went out
                lost = error
                self._ended("sent", error)
                with spending(Purse(may_exceed=True)):
                    landed = settled(self.plan, self.wanted, self.client, wait_s=self.settle_s, stop=self.stop)
                if landed:
                    return replace(landed, adopted=adopted)
                self._heed()
                self._ended("planned", error)
                continue
            found |= self._checked(held, answered, missing)
            return AddedOptions(self.wanted.field_id, {c: found[c] for c in self.wanted.captions}, adopted)
        assert lost is not None
        raise lost

    def _heed(self) -> None:
        if self.stop:
            raise Stopped(self.stop.signal)
        self.client.budget.check()

    def _ended(self, outcome: str, error: ApiError) -> None:
        self.journal.options_ended(self.run_id, self.wanted.field_id, outcome, str(error))

    def _send(self, held: Sequence[Option], missing: Sequence[str]) -> tuple[Option, ...]:
        """The request itself, recorded before it and where it certainly did nothing; the field's options after it."""
        field_id = self.wanted.field_id
        request = v4_options.write_request(self.plan.catalog_id, field_id, held, missing)
        self.journal.options_sending(self.run_id, field_id, request)
        self.sent_count += 1
        try:
            return self.client.write_options(request, field_id)
        except (InDoubt, UnexpectedAnswer):
            raise
        except ApiError as error:
            self.sent_count -= 1
            self._ended("planned", error)
            raise

    def _checked(self, before: Sequence[Option], after: Sequence[Option], missing: Sequence[str]) -> dict[str, int]:
        """The ids of the options that were made. Raises UnexpectedAnswer where others suffered, or one is not there."""
        found = {caption: ids[0] for caption in missing if len(ids := _ids(caption, after)) == 1}
        problems = _harm(before, after)
        problems += [f"the option {quoted(caption)} is not there" for caption in missing if caption not in found]
        if problems:
            words = f"{_title(self.plan, self.wanted)}: the account keeps other options than it was sent"
            error = UnexpectedAnswer(f"{words}; look at the field in the CRM: {'; '.join(problems)}")
            self._ended("failed", error)
            raise error
        return found


def _title(plan: Plan, wanted: AddOptions) -> str:
    shown = plan.columns.get(str(wanted.field_id))
    return shown.title if shown else str(wanted.field_id)


def _ids(caption: str, held: Sequence[Option]) -> tuple[int, ...]:
    """The options that a caption means: exactly, else but for case and blanks."""
    enums = {option.id: option.caption for option in held}
    return captions.same(caption, enums) or captions.alike(caption, enums)


def _found(plan: Plan, wanted: AddOptions, held: Sequence[Option]) -> dict[str, int]:
    """The wanted options that a field has, by caption. Raises StalePlan where that is not clear, or some are gone."""
    shown = plan.columns.get(str(wanted.field_id))
    known = set(shown.captions) if shown else set()
    title = _title(plan, wanted)
    gone = known - {str(option.id) for option in held}
    problems = [Problem(title, f"the option {quoted(shown.captions[id_])} is gone") for id_ in sorted(gone) if shown]
    found: dict[str, int] = {}
    for caption in wanted.captions:
        ids = _ids(caption, held)
        if len(ids) > 1:
            told = ", ".join(f"{quoted(option.caption)} ({option.id})" for option in held if option.id in ids)
            problems.append(Problem(title, f"{quoted(caption)} names {len(ids)} options by now: {told}"))
        elif ids:
            found[caption] = ids[0]
    if problems:
        raise StalePlan("the field changed since the plan was made; no element was written. Plan again", problems)
    return found


def _harm(before: Sequence[Option], after: Sequence[Option]) -> list[str]:
    """What a change did to options that were only sent along."""
    held = {option.id: option.caption for option in after}
    return [
        f"the option {quoted(option.caption)} ({option.id}) "
        + (f"is {quoted(held[option.id])} now" if option.id in held else "is gone")
        for option in before
        if captions.plain(held.get(option.id, "")) != captions.plain(option.caption)
    ]
