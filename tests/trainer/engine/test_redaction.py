"""Secrets of the environment never reach the log or the events."""

from __future__ import annotations

from tests.training_runs import TrainingRuns


def test_a_token_in_an_error_is_blanked_in_the_log(runs: TrainingRuns) -> None:
    secret = "hf_abcdefghijklmnop"
    run = runs.create("secret", model={"model_name_or_path": str(runs.folder / secret)})
    assert runs.train(run, HF_TOKEN=secret) == 1
    assert secret not in run.log_file.read_text() + run.events_file.read_text() + run.status_file.read_text()
    assert "[redacted]" in run.log_file.read_text()
