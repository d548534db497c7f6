"""While rows are prepared the command line shows how many there are, how long it takes, and a bar of rows."""

from __future__ import annotations

import pytest

from tests.training_runs import TrainingRuns
from tests.tui.cockpit_world import screen_text, until
from trainer.run import RunReader, StatusWriter
from tui.app import TrimtabApp
from tui.commands.progress import progress_of
from tui.progress_view import PlainView, RichView


@pytest.mark.parametrize("view", [RichView, PlainView])
def test_rows_are_counted_until_there_are_steps(
    runs: TrainingRuns, capsys: pytest.CaptureFixture[str], view: type[RichView] | type[PlainView]
) -> None:
    run = runs.create("bar")
    said = "reading data: 12,000 of about 48,000 rows"
    with StatusWriter(run) as status:
        status.update(phase="preparing", message=said, rows=12_000, total_rows=48_000)
        shown = view()
        with shown.opened():
            shown.show(progress_of(run, RunReader(run)), [])
        before = capsys.readouterr().out
        status.update(phase="running", message="", step=3, total_steps=8)
        shown = view()
        with shown.opened():
            shown.show(progress_of(run, RunReader(run)), [])
        after = capsys.readouterr().out
    assert said in before
    assert ("12000/48000" in before) == (view is RichView)
    assert "48000" not in after
    assert "3/8" in after


async def test_the_dashboard_has_the_same_bar(runs: TrainingRuns) -> None:
    run = runs.create("bar")
    said = "downloading me/tiny: 4.10 of 16.40 GB, 100.0 MB/s, 2 min 3 s left"
    with StatusWriter(run) as status:
        status.update(phase="preparing", message=said, rows=4_100, total_rows=16_400)
        app = TrimtabApp(run=run.path)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: said in screen_text(app))
            assert "25 %" in screen_text(app)
            status.update(phase="running", message="", step=3, total_steps=8, rows=0, total_rows=0)
            await until(pilot, lambda: "38 %" in screen_text(app))
