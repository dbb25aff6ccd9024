"""Some of the random schedules in every run, more of them with the slow tests."""

from __future__ import annotations

import pytest

from tests.crash import schedules
from tests.crash.schedule import Schedule
from tests.crash.schedules import APIS
from tests.crash.stage import Stage

SAME = (7, 238)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.timeout(300)
def test_no_schedule_of_faults_kills_and_edits_breaks_a_law(api: str) -> None:
    totals = schedules.run(api, 60)
    assert totals.wrong == {}
    happened = totals.happened
    assert all(any(what.startswith(kind) for what in happened) for kind in ("fault", "killed", "colleague"))


@pytest.mark.slow
@pytest.mark.parametrize("api", APIS)
@pytest.mark.timeout(0)
def test_no_more_of_them_do(api: str) -> None:
    assert schedules.run(api, 2000, first_seed=1000).wrong == {}


def test_a_schedule_is_the_same_every_time() -> None:
    stories = []
    for _ in range(2):
        with Stage() as stage:
            Schedule(stage, "v2", 6).play()
            stories.append([Schedule(stage, "v2", seed).play().story for seed in SAME])
    with Stage() as stage:
        stories.append([Schedule(stage, "v2", seed).play().story for seed in SAME])
    assert stories[0] == stories[1] == stories[2]
