"""Columns of measurements: exact while short, true in their extremes when long, always of bounded size."""

from __future__ import annotations

import math
import random
from array import array

import pytest

from trainer.run import Series


def filled(number: int, capacity: int = 64) -> tuple[Series, list[float]]:
    """A series of that many points at steps 1, 2, 3 ..., and its values."""
    values = [random.Random(number + index).random() for index in range(number)]
    series = Series(capacity=capacity)
    for step, value in enumerate(values, 1):
        series.add(step, value)
    return series, values


@pytest.mark.parametrize("number", [1, 63, 64, 65, 127, 128, 129, 1000, 20_000])
def test_extremes_mean_and_last_are_those_of_the_values(number: int) -> None:
    series, values = filled(number)

    [whole] = series.view(0, number, 1)

    assert (whole.step, whole.low, whole.high, whole.last) == (number, min(values), max(values), values[-1])
    assert whole.mean == pytest.approx(math.fsum(values) / number)
    assert (series.count, series.first_step, series.last_step, series.last) == (number, 1, number, values[-1])


def test_memory_is_bounded() -> None:
    assert len(filled(20_000)[0]) <= 3 * 64


def test_a_short_series_is_exact() -> None:
    series, values = filled(100)

    assert series.points() == (list(range(1, 101)), values)
    assert [bucket.last for bucket in series.view(11, 20, 50)] == values[10:20]


def test_the_newest_points_of_a_long_series_are_exact() -> None:
    series, values = filled(20_000)

    assert [bucket.mean for bucket in series.view(19_951, 20_000, 100)] == values[-50:]


def test_steps_rise_and_every_bucket_lies_in_the_range() -> None:
    series, _ = filled(5000)

    buckets = series.view(100, 4000, 40)

    steps = [bucket.step for bucket in buckets]
    assert len(buckets) <= 40
    assert steps == sorted(set(steps))
    assert min(steps) >= 100
    assert max(steps) <= 4000


def test_truncation_of_recent_steps_is_exact() -> None:
    series, values = filled(1000)

    series.truncate(990)
    series.add(991, 7.0)

    assert series.count == 991
    assert series.points()[0][-2:] == [990, 991]
    assert series.points()[1][-2:] == [values[989], 7.0]


@pytest.mark.parametrize("cut", [0, 1, 100, 333, 899, 900])
def test_no_step_beyond_a_truncation_remains_and_none_is_listed_twice(cut: int) -> None:
    series, _ = filled(1000)

    series.truncate(cut)
    assert all(step <= cut for step in series.points()[0])
    for step in range(cut + 1, 1500):
        series.add(step, 0.5)

    steps = series.points()[0]
    assert steps == sorted(set(steps))
    assert series.last_step == 1499


def test_a_second_value_for_a_step_replaces_the_first_and_older_steps_are_ignored() -> None:
    series = Series()
    series.add(1, 1.0)
    series.add(2, 2.0)
    series.add(2, 3.0)
    series.add(1, 9.0)

    assert series.points() == ([1, 2], [1.0, 3.0])


def test_values_that_are_not_finite_stay_out() -> None:
    series = Series()
    for value in (math.nan, math.inf, -math.inf):
        series.add(1, value)

    assert not series.extend([1, 2], array("d", [1.0, math.nan]))
    assert series.last is None
    assert series.view(0, 10, 5) == []


def test_extending_is_the_same_as_adding() -> None:
    added, values = filled(3000)
    extended = Series(capacity=64)
    for begin in range(0, 3000, 700):
        part = values[begin : begin + 700]
        assert extended.extend(range(begin + 1, begin + 1 + len(part)), array("d", part))

    assert extended.points() == added.points()
    assert not extended.extend([3000], array("d", [1.0]))
