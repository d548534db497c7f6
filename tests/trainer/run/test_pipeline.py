"""A pipeline of real runs: killed in its middle it goes on, and each part has what the one before it made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.stages.conftest import stage_rows
from tests.training_runs import TrainingRuns, events_of
from trainer.chat.loading import load_for_chat
from trainer.config import Recipe
from trainer.config.pipeline import Part
from trainer.errors import UserError
from trainer.run import RunDirectory, RunState, latest_checkpoint
from trainer.run.leading import lead
from trainer.run.pipeline import create_pipeline, find_pipeline


def part(runs: TrainingRuns, stage: str, rows: list[dict[str, Any]], **tables: dict[str, Any]) -> Part:
    file = runs.folder / f"{stage}.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    values: dict[str, dict[str, Any]] = {
        "model": {"model_name_or_path": str(runs.model)},
        "data": {"dataset": [str(file)], "cutoff_len": 96},
        "method": {"stage": stage},
        "lora": {"lora_rank": 4},
        "train": {"max_steps": 2, "save_steps": 1, "logging_steps": 1, "learning_rate": 1e-3},
        **tables,
    }
    return Part(stage, Recipe.model_validate(values))


def test_killed_in_the_second_of_three_parts_a_pipeline_goes_on_there(runs: TrainingRuns, tmp_path: Path) -> None:
    parts = [
        part(runs, "sft", [{"instruction": f"What is {i}?", "output": "A number."} for i in range(8)]),
        part(runs, "rm", stage_rows("rm")),
        part(
            runs,
            "ppo",
            [{"prompt": f"Say {i}."} for i in range(8)],
            generation={"max_new_tokens": 4, "top_p": 1.0, "top_k": 0},
        ),
    ]
    faults = {"trio.rm": "checkpoint:before-rename@2"}

    def train(run: RunDirectory, *, resume: bool = False) -> None:
        fault = faults.pop(run.name, None)
        runs.train(run, resume=resume, **({"TRIMTAB_FAULT": fault} if fault else {}))

    made = create_pipeline("trio", parts, tmp_path)
    assert lead(made.path, train) == 1
    assert [made.state_of(each) for each in parts] == [RunState.FINISHED, RunState.LOST, None]
    assert lead(made.path, train) == 0, [made.run_of(each).log_file.read_text()[-1500:] for each in parts[1:]]
    assert [made.state_of(each) for each in parts] == [RunState.FINISHED] * 3
    sft, rm, ppo = (made.run_of(each) for each in parts)
    assert [len(events_of(run, "end")) for run in (sft, rm, ppo)] == [1, 1, 1]
    assert events_of(rm, "resume")[0].step == 1
    recipe = ppo.recipe()
    tuned, judge, result = (latest_checkpoint(run.checkpoints_folder) for run in (sft, rm, ppo))
    assert tuned is not None
    assert judge is not None
    assert result is not None
    assert recipe.model.adapter_name_or_path == rm.recipe().model.adapter_name_or_path == [str(tuned.path)]
    assert (recipe.ppo.reward_model, recipe.ppo.reward_model_type) == (str(judge.path), "lora")
    assert load_for_chat(str(result.path)).has_adapter
    # Nothing is left to do.
    assert lead(made.path, train) == 0


def test_a_pipeline_keeps_its_recipes_and_its_name(runs: TrainingRuns, tmp_path: Path) -> None:
    parts = [part(runs, "sft", [{"instruction": "a", "output": "b"}])]
    made = create_pipeline("one", parts, tmp_path)
    found = find_pipeline(str(made.path))
    assert found == made
    with pytest.raises(UserError, match="is there already"):
        create_pipeline("one", parts, tmp_path)
    assert find_pipeline("none of that name") is None
