"""Charts: axes that stand still, curves that survive bad numbers, pictures that a cursor can read."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from trainer.run import Series
from tui.widgets import axes
from tui.widgets.axes import Limits
from tui.widgets.chart import moved, zoomed
from tui.widgets.chart_picture import (
    GUTTER,
    ChartContent,
    ChartMark,
    ChartRequest,
    Picture,
    Window,
    build_picture,
    window_limits,
)
from tui.widgets.curves import smoothed
from tui.widgets.plot_figure import Curve, PlotFigure


def series(values: list[float], first: int = 1) -> Series:
    column = Series()
    for step, value in enumerate(values, start=first):
        column.add(step, value)
    return column


def falling(steps: int) -> list[float]:
    return [0.4 + 3 * math.exp(-4 * step / steps) for step in range(1, steps + 1)]


def picture(values: list[float], *, content: dict[str, object] | None = None, **request: object) -> Picture:
    wish = ChartRequest(**({"width": 60, "height": 14} | request))  # type: ignore[arg-type]
    shown = ChartContent(**({"series": series(values), "last_step": len(values)} | (content or {})))  # type: ignore[arg-type]
    return build_picture(wish, shown, PlotFigure())


def text_of(picture: Picture) -> str:
    return "\n".join("".join(char for char, _ in row) for row in picture.rows)


# Axes


def test_the_step_axis_grows_in_round_steps_and_never_beyond_the_run() -> None:
    ends = [axes.step_limit(step, 730) for step in (0, 9, 11, 101, 149, 151, 640, 730)]
    assert ends == [10, 10, 15, 150, 150, 200, 730, 730]
    assert axes.step_limit(1234, None) == 1500


def test_the_step_axis_seldom_changes() -> None:
    assert len({axes.step_limit(step, None) for step in range(1000, 10_001)}) <= 9


def test_value_limits_stay_while_they_fit_and_are_half_used() -> None:
    first = axes.value_limits(0.42, 3.4, None)
    assert first == Limits(0, 4)
    assert axes.value_limits(0.5, 3.0, first) is first
    assert axes.value_limits(0.5, 4.5, first) != first
    assert axes.value_limits(0.5, 0.9, first).span < 1


@pytest.mark.parametrize("constant", [0.0, 1.0, -3.0, 2e-4, 1e18])
def test_a_constant_gets_an_axis_around_it(constant: float) -> None:
    limits = axes.value_limits(constant, constant, None)
    assert limits.low < constant < limits.high or limits.low == 0.0 <= constant < limits.high


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.0, 0.5, 1.0], ["0.0", "0.5", "1.0"]),
        ([0.0, 5e-5, 1e-4], ["0", "5e-5", "1e-4"]),
        ([1.94e-4, 1.95e-4, 1.96e-4], ["1.94e-4", "1.95e-4", "1.96e-4"]),
        ([0.0, 20_000.0, 40_000.0], ["0", "20k", "40k"]),
        ([1.0, 2.0, 3.0], ["1", "2", "3"]),
    ],
)
def test_tick_labels_have_just_the_digits_that_tell_them_apart(values: list[float], labels: list[str]) -> None:
    assert axes.tick_labels(values) == labels


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.23456, "1.2346"), (2.5e-4, "2.50e-4"), (1e-5, "1.00e-5"), (12345.6, "12346"), (None, "-"), (math.nan, "nan")],
)
def test_measured_values_are_short(value: float | None, shown: str) -> None:
    assert axes.value_text(value) == shown
    assert len(shown) <= 8


# Smoothing


def test_smoothing_is_the_debiased_average_of_tensorboard() -> None:
    values = [4.0, 2.0, 1.0]
    weight = 0.6
    expected = []
    for count in range(1, 4):
        weights = [weight ** (count - 1 - place) for place in range(count)]
        pairs = zip(weights, values[:count], strict=True)
        expected.append(sum(w * v for w, v in pairs) / sum(weights))
    assert smoothed(values, weight) == pytest.approx(expected)


def test_smoothing_passes_over_what_is_not_finite() -> None:
    assert smoothed([2.0, math.nan, 2.0, math.inf], 0.9) == pytest.approx([2.0, 2.0, 2.0, 2.0])


# The figure


def test_a_nan_in_a_connected_line_does_not_end_the_process() -> None:
    # In a process of its own: plotext 6 aborts on it when it gets through.
    code = (
        "from tui.widgets.plot_figure import Curve, PlotFigure; from tui.widgets.axes import Limits; n = float('nan');"
        "rows = PlotFigure().rows(30, 5, Limits(0, 4), Limits(0, 4), [Curve([0, 1, 2, 3, 4],"
        " [1, n, float('inf'), -float('inf'), 3])]);"
        "print(sum(len(text) for row in rows for text, _ in row))"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "150"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (0, 0), (40, 2), (200, 60)])
def test_the_figure_has_exactly_the_size_that_was_asked_for(width: int, height: int) -> None:
    rows = PlotFigure().rows(width, height, Limits(0, 1), Limits(0, 1), [Curve([0, 1], [0, 1])])
    assert len(rows) == height
    assert all(sum(len(text) for text, _ in row) == width for row in rows)


def test_later_curves_lie_on_top_and_keep_their_number() -> None:
    flat = Curve([0, 9], [0.5, 0.5])
    rows = PlotFigure().rows(10, 1, Limits(0, 9), Limits(0, 1), [flat, flat])
    assert {curve for _, curve in rows[0]} == {1}


def test_ascii_uses_no_other_characters() -> None:
    drawn = picture(falling(80), ascii_only=True, content={"evaluation": series([1.0, 0.8])}, ruler=True)
    assert text_of(drawn).isascii()
    assert "*" in text_of(drawn)


# Pictures


def test_a_picture_has_the_size_that_was_asked_for() -> None:
    drawn = picture(falling(500), width=77, height=19, ruler=True, smoothing=0.9)
    assert len(drawn.rows) == 19
    assert {len(row) for row in drawn.rows} == {77}


def test_old_columns_do_not_move_when_a_step_comes() -> None:
    request, figure = ChartRequest(100, 16), PlotFigure()
    values = falling(400)
    before = build_picture(request, ChartContent(series(values[:300]), last_step=300), figure)
    after = build_picture(request, ChartContent(series(values[:301]), last_step=301), figure, before)
    assert before.across.high == 300
    later = build_picture(request, ChartContent(series(values[:302]), last_step=302), figure, after)
    changed = sum(a != b for x, y in zip(after.rows, later.rows, strict=True) for a, b in zip(x, y, strict=True))
    assert changed <= 4


def test_marks_stand_below_their_step_and_errors_win() -> None:
    marks = (ChartMark(10, "C", "by schedule"), ChartMark(40, "!", "nan", True), ChartMark(40, "C", "by schedule"))
    drawn = picture(falling(50), ruler=True, content={"marks": marks})
    ruler = drawn.rows[-1]
    assert ruler[drawn.column(10)] == ("C", "mark")
    assert ruler[drawn.column(40)] == ("!", "error")


def test_evaluation_points_stand_at_their_place() -> None:
    drawn = picture(falling(50), content={"evaluation": series([2.0], first=30)})
    column = drawn.column(30)
    assert ("◆", "evaluation") in [row[column] for row in drawn.rows]


def test_the_cursor_column_of_the_ends_is_the_edge_of_the_curves() -> None:
    drawn = picture(falling(100))
    assert drawn.column(drawn.across.low) == GUTTER
    assert drawn.column(drawn.across.high) == 59


def test_a_logarithmic_picture_leaves_out_what_has_no_logarithm() -> None:
    drawn = picture([0.0, -1.0, 1.0, 10.0, 100.0], log=True)
    assert drawn.upwards == Limits(0, 2)
    assert "100" in text_of(drawn)


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, math.nan]])
def test_a_series_without_a_number_gives_an_empty_picture(values: list[float]) -> None:
    assert picture(values).is_empty


def test_a_single_point_is_drawn() -> None:
    assert not picture([1.5]).is_empty


def test_a_hundred_thousand_steps_are_thinned_to_the_width() -> None:
    drawn = picture([1 + math.sin(step / 50) for step in range(100_000)], smoothing=0.9)
    assert len(drawn.raw.steps) <= 4 * 60
    assert len(drawn.smooth.steps) <= 2 * 60


# Windows


def test_a_following_window_moves_in_jumps() -> None:
    ends = {window_limits(Window(100), ChartContent(last_step=step)).high for step in range(400, 500)}
    assert len(ends) <= 5
    for step in range(100, 500):
        limits = window_limits(Window(100), ChartContent(last_step=step))
        assert limits.low <= step <= limits.high


def test_zooming_in_and_out_ends_at_the_whole_run() -> None:
    half = zoomed(None, 0.5, 400, None)
    assert half == Window(200)
    assert zoomed(half, 2.0, 400, None) is None
    assert zoomed(None, 0.5, 400, 100) == Window(200, 200)


def test_moving_to_the_right_end_follows_the_run_again() -> None:
    window = moved(Window(100), -0.5, 400)
    assert window == Window(100, 350)
    assert moved(window, 0.5, 400) == Window(100)
    assert moved(None, 0.5, 400) is None
