"""Asking reward models of runs for numbers, where the run has done something unusual to the model."""

from __future__ import annotations

import json
from pathlib import Path

from tests.training_runs import TrainingRuns
from trainer.chat.scoring import load_to_score


def test_the_tokens_that_a_run_added_are_scored_too(runs: TrainingRuns, tmp_path: Path) -> None:
    rows = [{"instruction": f"What is {i}?", "chosen": f"<new> {i}.", "rejected": "No."} for i in range(8)]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    model = {"add_tokens": ["<new>"]}
    data = {"dataset": [str(tmp_path / "pairs.json")]}
    run = runs.create("judge", method={"stage": "rm"}, model=model, data=data, train={"max_steps": 2})
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    scored = load_to_score(str(run.checkpoints_folder / "step-00000002"))
    assert scored.score("What is 3?", "<new> 3.") != scored.score("What is 3?", "<old> 3.")
