"""Adding options over the emulator: the end of the process at every step, lost and late answers, accounts that harm."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync import runs, sync, writer
from catalogsync.api.auth import APIS
from catalogsync.emulator.faults import Fault
from catalogsync.errors import StalePlan, Stopped, UnexpectedAnswer
from catalogsync.model import AddedOptions
from catalogsync.stopping import Stop
from tests.e2e.worlds import ONE_BY_ONE, World, all_done, world
from tests.mortal import Crash, Mortal, Steps

COLOURS = {"Red": 31, "Green": 32}
FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 103, "name": "Colour", "type": "select", "enums": COLOURS},
    {"id": 104, "name": "Sizes", "type": "multiselect", "enums": {"S": 41, "M": 42}},
]
ELEMENTS = [{"id": n, "name": f"P{n}", "values": {"Code": f"C{n}", "Colour": "Red", "Sizes": ["S"]}} for n in (1, 2)]
MAPPING = """
catalog: 4220
key: code
columns:
  code: Code
  name: name
  colour: {field: Colour, unknown: add}
  sizes: {field: Sizes, unknown: add}
"""
ROWS = [
    {"code": "C1", "name": "P1", "colour": "Purple", "sizes": "S;XL"},
    {"code": "C2", "name": "P2", "colour": "Red", "sizes": "XS"},
    {"code": "C3", "name": "P3", "colour": "Lilac", "sizes": "M"},
]
PATH = "/api/v4/catalogs/4220/custom_fields"
ACTS = {
    "client": {"options", "write_options", "write"},
    "journal": {
        "start",
        "options_sending",
        "options_ended",
        "options_added",
        "sending",
        "answered",
        "found",
        "read_back",
        "finish",
        "remember_sheet",
    },
}


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture(params=APIS)
def account(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(request.param, FIELDS, ELEMENTS) as made:
        yield made


class Slept(Stop):
    """A sleep moves the clock and is over."""

    def __init__(self, account: World) -> None:
        super().__init__()
        self.account, self.slept = account, [0.0]

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.account.clock.now_s += seconds


def options(account: World, field_id: int) -> dict[int, str]:
    """A field's options, id → caption."""
    return {option.id: option.caption for option in account.client.options(4220, field_id)}


def in_words(account: World) -> dict[str, tuple[str, list[str]]]:
    """What each element holds: its colour and its sizes by their captions."""
    colours, sizes = options(account, 103), options(account, 104)
    return {
        held["101"]: (colours[int(held["103"])], [sizes[int(id_)] for id_ in held["104"].split(",")])
        for held in account.state().values()
    }


def as_wanted(account: World) -> None:
    """Every product once, with the sheet's options; no option twice, none of the old ones gone."""
    assert in_words(account) == {"C1": ("Purple", ["S", "XL"]), "C2": ("Red", ["XS"]), "C3": ("Lilac", ["M"])}
    colours, sizes = options(account, 103), options(account, 104)
    assert (colours[31], colours[32], sizes[41], sizes[42]) == ("Red", "Green", "S", "M")
    assert sorted(colours.values()) == ["Green", "Lilac", "Purple", "Red"]
    assert sorted(sizes.values()) == ["M", "S", "XL", "XS"]


def sent(account: World) -> list[str]:
    """The paths of the changes of fields."""
    return [a.path for a in account.emulator.requests if a.method == "PATCH" and "/custom_fields/" in a.path]


# --- the end of the process ---


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("way", ["import again", "resume"])
def test_wherever_the_process_ends_every_option_and_element_is_there_once(api: str, way: str) -> None:
    ended = 0
    for step in range(1, 60):
        with world(api, FIELDS, ELEMENTS) as account:
            if _ends_at(account, step):
                ended += 1
                account.later()
                account.recover()
                unfinished = account.journal.unfinished()
                if way == "resume" and unfinished:
                    run = account.journal.run(unfinished[-1])
                    assert run
                    sync.resume(run, account.client, account.journal, account.schema(), ONE_BY_ONE)
                else:
                    account.apply(account.plan(ROWS, MAPPING))
            as_wanted(account)
            assert account.plan(ROWS, MAPPING).plan.changes == ()
            if ended < step:
                break
    assert ended > 20  # two fields of four acts, a batch, the start and the end, each before and after


def _ends_at(account: World, step: int) -> bool:
    planned = account.plan(ROWS, MAPPING)
    steps = Steps(step)
    client: Any
    journal: Any
    client, journal = Mortal(account.client, steps, ACTS["client"]), Mortal(account.journal, steps, ACTS["journal"])
    try:
        sync.apply(planned.plan, client, journal, planned.schema, ONE_BY_ONE, planned=planned)
    except Crash:
        return True
    return False


@pytest.mark.parametrize("late_s", [4, 15])
def test_a_killed_runs_request_that_lands_late_does_away_with_nothing_within_the_settling_time(
    account: World, late_s: int
) -> None:
    """What lands after it is the stated limit: the options that were added in the meantime go."""
    planned = account.plan(ROWS, MAPPING)
    account.emulator.fault(f"apply-late={late_s} PATCH {PATH}/103")
    client: Any = Mortal(account.client, Steps(4), ACTS["client"])  # before the field is read after the lost answer
    with pytest.raises(Crash):
        sync.apply(planned.plan, client, account.journal, planned.schema, ONE_BY_ONE, planned=planned)
    account.clock.now_s += 1
    slept = Slept(account)
    runs.recover(
        account.schema(), account.client, account.journal, dataclasses.replace(ONE_BY_ONE, settle_s=10, stop=slept)
    )
    assert [operation.outcome for operation in account.journal.options(1)] == (
        ["done", "planned"] if late_s < 10 else ["planned", "planned"]
    )
    if late_s < 10:
        account.apply(account.plan(ROWS, MAPPING))
        account.later(60)
        as_wanted(account)


# --- lost answers ---


@pytest.mark.parametrize("late_s", [4, 9])
def test_options_that_land_during_the_settling_time_are_taken_and_not_sent_again(account: World, late_s: int) -> None:
    planned = account.plan(ROWS, MAPPING)
    account.emulator.fault(f"apply-late={late_s} PATCH {PATH}/103")
    stop = Slept(account)
    account.emulator.clear_requests()
    report = account.apply(planned, dataclasses.replace(ONE_BY_ONE, settle_s=10, stop=stop))
    all_done(report)
    assert (sent(account), stop.slept[1:]) == ([f"{PATH}/103", f"{PATH}/104"], [10])
    as_wanted(account)


def test_after_three_lost_answers_the_run_stops_with_nothing_written(account: World) -> None:
    planned = account.plan(ROWS, MAPPING)
    account.emulator.fault(f"504 before PATCH {PATH}/103 count=0")
    account.emulator.clear_requests()
    report = account.apply(planned)
    assert (report.stopped_by and report.stopped_by.exit_code, report.results, report.options) == (6, (), ())
    assert (sent(account), report.write_requests, len(report.unsent)) == ([f"{PATH}/103"] * 3, 3, 3)
    assert [operation.outcome for operation in account.journal.options(1)] == ["planned", "planned"]


def test_a_wish_to_stop_is_heeded_before_the_next_field(account: World) -> None:
    planned = account.plan(ROWS, MAPPING)
    stop = Stop()
    account.emulator.fault(Fault("call", method="PATCH", path=f"{PATH}/103", call=lambda _: stop.ask(2)))
    report = account.apply(planned, dataclasses.replace(ONE_BY_ONE, stop=stop))
    assert isinstance(report.stopped_by, Stopped)
    assert [sorted(added.ids) for added in report.options] == [["Lilac", "Purple"]]
    assert options(account, 104) == {41: "S", 42: "M"}
    assert [account.journal.run(1) and o.change for o in account.journal.operations(1)] == list(report.unsent)


# --- accounts that do something else than they were told ---


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        (lambda enums: enums[1:], 'the option "Red" (31) is gone'),
        (lambda enums: [{**enums[0], "value": "Pink"}, *enums[1:]], 'the option "Red" (31) is "Pink" now'),
        (lambda enums: enums[:-1], 'the option "Lilac" is not there'),
    ],
)
def test_an_answer_that_tells_other_options_than_were_sent_ends_the_run(account: World, cut: Any, told: str) -> None:
    planned = account.plan(ROWS, MAPPING)
    write = account.client.write_options

    class Other:
        """The client of an account that keeps something else; no server does it on demand."""

        def __getattr__(self, name: str) -> Any:
            return getattr(account.client, name)

        def write_options(self, request: Any, field_id: int) -> Any:
            known = dataclasses.replace(request, json={"enums": cut(request.json["enums"])})
            return write(known, field_id)

    client: Any = Other()
    report = writer.apply(planned.plan, planned.schema, client, account.journal, ONE_BY_ONE)
    assert isinstance(report.stopped_by, UnexpectedAnswer)
    assert told in str(report.stopped_by)
    assert report.results == ()
    assert [operation.outcome for operation in account.journal.options(1)] == ["failed", "planned"]


def test_a_caption_that_names_two_options_by_now_is_left_to_a_person(account: World) -> None:
    planned = account.plan(ROWS, MAPPING)
    headers = {"Authorization": f"Bearer {account.emulator.token}"}
    kept = [{"id": id_, "value": caption} for id_, caption in options(account, 103).items()]
    body = {"enums": [*kept, {"value": "PURPLE"}, {"value": "purple"}]}
    requests.patch(account.emulator.url + f"{PATH}/103", json=body, headers=headers, timeout=10).raise_for_status()
    report = account.apply(planned)
    assert isinstance(report.stopped_by, StalePlan)
    ids = {caption: id_ for id_, caption in options(account, 103).items()}
    told = f'"PURPLE" ({ids["PURPLE"]}), "purple" ({ids["purple"]})'
    assert f'colour: "Purple" names 2 options by now: {told}' in str(report.stopped_by)


def test_what_was_added_is_reported_by_caption(account: World) -> None:
    report = account.apply(account.plan(ROWS, MAPPING))
    ids = {caption: id_ for id_, caption in {**options(account, 103), **options(account, 104)}.items()}
    assert report.options == (
        AddedOptions(103, {"Purple": ids["Purple"], "Lilac": ids["Lilac"]}),
        AddedOptions(104, {"XL": ids["XL"], "XS": ids["XS"]}),
    )


# --- whatever the options, none is lost ---

captions_ = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co")), min_size=1, max_size=6).filter(
    lambda text: bool(text.strip())
)


@given(
    api=st.sampled_from(APIS),
    known=st.dictionaries(captions_.map(str.strip), st.integers(1000, 9999), max_size=5),
    labels=st.lists(captions_, min_size=1, max_size=6),
)
@settings(max_examples=15)
def test_no_option_ever_loses_its_id_or_caption_and_the_second_plan_is_empty(
    api: str, known: dict[str, int], labels: list[str]
) -> None:
    enums = {caption: id_ + place * 10_000 for place, (caption, id_) in enumerate(known.items())}
    fields = [FIELDS[0], {"id": 103, "name": "Colour", "type": "select", "enums": enums or {"Red": 31}}]
    mapping = MAPPING.replace("  sizes: {field: Sizes, unknown: add}\n", "")
    rows = [{"code": f"C{n}", "name": f"P{n}", "colour": label} for n, label in enumerate(labels)]
    with world(api, fields) as account:
        before = account.client.options(4220, 103)
        planned = account.plan(rows, mapping)
        all_done(account.apply(planned))
        after = account.client.options(4220, 103)
        assert after[: len(before)] == before
        assert len(after) == len(before) + planned.plan.option_count
        again = account.plan(rows, mapping).plan
        assert (again.changes, again.options, again.unchanged_count) == ((), (), len(planned.plan.changes))
