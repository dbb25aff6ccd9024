"""A sample of the crash matrix in every run, the whole of it with the slow tests."""

from __future__ import annotations

import pytest

from tests.crash import matrix, shop
from tests.crash.child import CAN_FORK
from tests.crash.matrix import APIS, Point, points_of

SAMPLE = 14 if CAN_FORK else 4
"""Without a fork each command starts an interpreter."""


@pytest.mark.parametrize("api", APIS)
@pytest.mark.timeout(300)
def test_a_run_killed_at_steps_drawn_by_lot_is_finished_by_the_next(api: str) -> None:
    tally = matrix.run(api, sample=SAMPLE, seed=20)
    assert tally.wrong == []
    assert sum(tally.points.values()) == SAMPLE
    assert sum(tally.kills.values()) > SAMPLE // 2


@pytest.mark.slow
@pytest.mark.parametrize("api", APIS)
@pytest.mark.timeout(0)
def test_a_run_killed_at_any_step_is_finished_by_the_next(api: str) -> None:
    tally = matrix.run(api)
    assert tally.wrong == []
    assert sum(tally.points.values()) > 15 * 40


def test_the_run_has_adds_updates_and_deletes_in_forty_batches_at_least() -> None:
    assert shop.CHANGES / matrix.BATCH >= 40
    made = shop.made()
    assert len(made.rows) == shop.UPDATES + shop.ADDS + shop.SAME
    assert len(made.before) - len(made.after) == shop.DELETES - shop.ADDS


def test_the_matrix_has_a_point_for_every_step_and_a_tenth_as_many_of_the_other_parts() -> None:
    points = points_of(["a step"] * 100)
    assert points[:100] == [Point(number) for number in range(1, 101)]
    assert [point.part for point in points[100:]] == ["3 in flight"] * 10 + ["killed twice"] * 10
    assert points_of(["a step"] * 100, every=40) == points[::40]
    assert len(points_of(["a step"] * 100, sample=25)) == 25
