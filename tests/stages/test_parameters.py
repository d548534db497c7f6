"""Every parameter of the stages that learn from rows acts: change it alone, and a named figure of the run changes.

Losses have tests against their formulas elsewhere; here the way is tested from the recipe to what is computed with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.methods.training import Trained, train_here
from tests.stages.courses import Courses, differences
from tests.training_runs import events_of
from trainer.config.tables.preference import PreferenceTable
from trainer.run import list_checkpoints

_SHORT = {"finetuning_type": "full", "max_steps": 2, "val_size": 0, "eval_strategy": "no"}
_EVALUATED = {"val_size": 3, "eval_strategy": "steps", "eval_steps": 2}
_PREDICTED = {**_EVALUATED, "predict_with_generate": True, "do_predict": True, "do_sample": False, "max_new_tokens": 12}
_LORA = {"finetuning_type": "lora", "lora_rank": 4}
# What is seen may be seen only in a second loss: at the first step policy and reference are one.
_PREFERENCE: tuple[tuple[str, object, dict[str, object]], ...] = (
    ("pref_loss", "hinge", {}),
    ("pref_loss_mix", ["sft"], {}),
    ("pref_loss_weights", [1.0, 3.0], {"pref_loss_mix": ["sft"]}),
    ("pref_beta", 0.5, {}),
    ("pref_ftx", 1.0, {}),
    ("pref_bco_weight", 1.0, {}),
    ("dpo_label_smoothing", 0.3, {}),
    ("simpo_gamma", 2.0, {"pref_loss": "simpo"}),
    ("ld_alpha", 0.0, {}),
    ("ref_model", "OTHER", {}),
    ("ref_model_adapters", ["TUNED"], {"ref_model": "MODEL"}),
    ("ref_model_quantization_bit", 4, {"ref_model": "OTHER"}),
)
_JUDGED: tuple[tuple[str, object, dict[str, object]], ...] = (
    ("kto_chosen_weight", 2.0, {}),
    ("kto_rejected_weight", 2.0, {}),
    ("pref_beta", 0.5, {}),
    ("pref_ftx", 1.0, {}),
    ("ref_model", "OTHER", {}),
    ("ref_model_adapters", ["TUNED"], {"ref_model": "MODEL"}),
    ("ref_model_quantization_bit", 4, {"ref_model": "OTHER"}),
)


@dataclass(frozen=True)
class Act:
    """A parameter in a stage."""

    stage: str
    name: str
    value: object
    seen: str
    """The figure that must change."""
    given: dict[str, object]
    """Values that it needs beside it."""


def act(stage: str, seen: str, name: str, value: object, given: dict[str, Any] | None = None) -> Act:
    """One entry."""
    return Act(stage, name, value, seen, given or {})


ACTS: tuple[Act, ...] = (
    *(act("dpo", "losses", name, value, given) for name, value, given in _PREFERENCE),
    *(act("kto", "losses", name, value, given) for name, value, given in _JUDGED),
    act("dpo", "files", "precompute_ref_log_probs", True),
    act("dpo", "losses", "neftune_noise_alpha", 5.0),
    act("dpo", "samples", "sample_prompts", ["Hi"], _EVALUATED),
    act("rm", "rates", "warmup_ratio", 0.5),
    act("rm", "weights", "weight_decay", 0.5),
    act("rm", "weights", "max_grad_norm", 0.01, {"optim": "sgd"}),
    act("rm", "weights", "adam_beta1", 0.5),
    act("rm", "weights", "adam_beta2", 0.5),
    act("rm", "weights", "adam_epsilon", 0.1),
    act("rm", "losses", "seed", 7),
    act("rm", "losses", "data_seed", 7),
    act("rm", "losses", "disable_shuffling", True),
    act("rm", "losses", "train_from_scratch", True),
    act("rm", "tokens", "cutoff_len", 58),
    act("rm", "steps", "num_train_epochs", 1.0, {"max_steps": -1, "num_train_epochs": 0.5}),
    act("rm", "evaluated", "do_eval", True, {"val_size": 3}),
    act("rm", "weights", "lora_alpha", 1, _LORA),
    act(
        "sft",
        "weights",
        "loraplus_lr_embedding",
        1e-2,
        {**_LORA, "loraplus_lr_ratio": 4.0, "lora_target": ["embed_tokens"]},
    ),
    act("sft", "losses", "ignore_pad_token_for_loss", False),
    act("sft", "losses", "asft_alpha", 5.0, {"use_asft_loss": True}),
    act("sft", "losses", "eaft_alpha", 0.1, {"use_eaft_loss": True}),
    act("sft", "predictions", "repetition_penalty", 5.0, _PREDICTED),
)


def figures(trained: Trained) -> dict[str, object]:
    """What can be seen of a run."""
    run = trained.run
    metrics, evaluations = events_of(run, "metrics"), events_of(run, "evaluation")
    predictions = run.evaluation_folder / "predictions.jsonl"
    return {
        "losses": [event.values["loss"] for event in metrics],
        "rates": [event.values["learning_rate"] for event in metrics],
        "tokens": [event.values["tokens"] for event in metrics],
        "steps": [event.step for event in metrics],
        "evaluated": [event.step for event in evaluations],
        "weights": trained.after,
        "files": sorted(str(file.relative_to(run.path)) for file in run.path.rglob("*") if file.is_file()),
        "samples": len(events_of(run, "sample")),
        "predictions": predictions.read_text() if predictions.is_file() else "",
    }


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, object]]:
    """The figures of runs that several entries compare with."""
    return {}


@pytest.mark.parametrize("entry", ACTS, ids=lambda entry: f"{entry.stage} {entry.name}")
def test_a_parameter_acts(courses: Courses, known: dict[str, dict[str, object]], entry: Act) -> None:
    base = f"{entry.stage} {entry.given}"
    if base not in known:
        known[base] = seen(courses, entry.stage, entry.given)
    changed = seen(courses, entry.stage, {**entry.given, entry.name: entry.value})
    assert differences(known[base][entry.seen], changed[entry.seen]) != []


@pytest.mark.parametrize("stage", ["sft", "rm", "dpo", "kto"])
def test_nothing_changes_by_itself(courses: Courses, known: dict[str, dict[str, object]], stage: str) -> None:
    base = f"{stage} {{}}"
    if base not in known:
        known[base] = seen(courses, stage, {})
    assert differences(known[base], seen(courses, stage, {})) == []


def seen(courses: Courses, stage: str, values: dict[str, object]) -> dict[str, object]:
    """The figures of a run."""
    text = json.dumps({**_SHORT, **values})
    places = {"OTHER": courses.model(tied=False), "MODEL": courses.model()}
    if "TUNED" in text:
        places["TUNED"] = courses.tuned()
    for word, place in places.items():
        text = text.replace(f'"{word}"', json.dumps(str(place)))
    return figures(train_here(courses.run(stage, "acting", **json.loads(text))))


def test_every_parameter_of_preferences_is_in_the_table() -> None:
    assert {entry.name for entry in ACTS} >= set(PreferenceTable.model_fields)


def test_what_a_run_tells_beside_its_losses_is_asked_for_by_name(courses: Courses) -> None:
    asked = ("include_num_input_tokens_seen", "include_effective_tokens_per_second", "plot_loss", "print_param_status")
    run = train_here(courses.run("rm", "telling", save_only_model=True, **dict.fromkeys(asked, True), **_SHORT)).run
    assert {"num_input_tokens_seen", "effective_tokens_per_second"} <= set(events_of(run, "metrics")[-1].values)
    assert (run.path / "loss.svg").is_file()
    assert "score.weight: torch.float32, trained" in run.log_file.read_text()
    (checkpoint,) = list_checkpoints(run.checkpoints_folder)
    assert not (checkpoint.path / "optimizer.pt").exists()


def test_a_new_run_goes_on_from_a_checkpoint_that_it_names(courses: Courses) -> None:
    first = train_here(courses.run("rm", "first", **_SHORT))
    longer = {**_SHORT, "max_steps": 3}
    second = train_here(courses.run("rm", "second", resume_from_checkpoint=str(first.checkpoint), **longer)).run
    assert [event.step for event in events_of(second, "metrics")] == [3]
    assert [found.step for found in list_checkpoints(second.checkpoints_folder)] == [3]
