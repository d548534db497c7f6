"""What a run says while its rows are prepared."""

from __future__ import annotations

import pytest

from tests.training_runs import TrainingRuns, events_of
from trainer.config.model_names import HubModel
from trainer.data.hub.models import Download
from trainer.engine.preparation import PreparationProgress, download_text, progress_text
from trainer.engine.session import RunSession


@pytest.mark.parametrize(
    ("done", "total", "dataset", "seconds", "said"),
    [
        (1200, 50_000, "alpaca", 2.0, "reading data: 1,200 of about 50,000 rows of alpaca, 1 min 21 s left"),
        (25_000, 50_000, "", 12.0, "reading data: 25,000 of about 50,000 rows, 12 s left"),
        (0, 50_000, "alpaca", 1.0, "reading data: 0 of about 50,000 rows of alpaca"),
        (1200, None, "alpaca", 2.0, "reading data: 1,200 rows of alpaca"),
        (60_000, 50_000, "alpaca", 2.0, "reading data: 60,000 rows of alpaca"),
    ],
)
def test_the_text_tells_how_far_it_is_and_how_long_it_takes(
    done: int, total: int | None, dataset: str, seconds: float, said: str
) -> None:
    assert progress_text(done, total, dataset, seconds) == said


def test_the_status_has_the_newest_state_every_two_seconds_and_no_event_tells_it(runs: TrainingRuns) -> None:
    run = runs.create("preparing")
    session = RunSession(run)
    session.phase("preparing", "reading data")
    events = len(events_of(run, "phase"))
    moments = iter([0.0, 1.5, 2.0, 2.9, 4.0, 6.0])
    progress = PreparationProgress(session, lambda: next(moments))
    said, shown = [], (0, 0)
    for done, dataset in ((100, "one"), (400, "one"), (500, "one"), (10, "two"), (20, "two")):
        progress(done, 1000, dataset)
        status = run.status()
        assert status is not None
        said.append(status.message)
        assert (status.rows, status.total_rows) == ((done, 1000) if f" {done} " in status.message else shown)
        shown = (status.rows, status.total_rows)
    assert said == [
        "reading data",
        "reading data: 400 of about 1,000 rows of one, 3 s left",
        "reading data: 400 of about 1,000 rows of one, 3 s left",
        "reading data: 10 of about 1,000 rows of two, 1 min 49 s left",
        "reading data: 20 of about 1,000 rows of two, 2 min 32 s left",
    ]
    assert len(events_of(run, "phase")) == events


@pytest.mark.parametrize(
    ("download", "words"),
    [
        ((0, 16_400_000_000, 0, 0.0), "downloading Qwen/Qwen3-8B: 0.00 of 16.40 GB"),
        ((4_100_000_000, 16_400_000_000, 2 * 10**9, 20.0), "4.10 of 16.40 GB, 100.0 MB/s, 2 min 3 s left"),
        ((500_000, 3_800_000, 500_000, 1.0), "0.50 of 3.80 MB, 0.5 MB/s, 7 s left"),
    ],
)
def test_a_download_says_how_much_how_fast_and_how_long(download: tuple[int, int, int, float], words: str) -> None:
    said = download_text(Download(HubModel("huggingface", "Qwen/Qwen3-8B"), *download))
    assert words in said
