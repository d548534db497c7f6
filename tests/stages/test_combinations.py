"""Stages with other methods, references and ways to read rows: stopped and resumed like those of the large table."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.methods.training import train_here
from tests.stages.courses import STOPPED_AT, Courses, Send, check_it_went_on_as_if_left_alone, figures_of
from tests.trainer.stages.conftest import stage_rows
from tests.training_runs import events_of
from trainer.run import RunDirectory

# A bit of every stage's rows at a time, and more than one pass over them.
_STREAM: dict[str, Any] = {"streaming": True, "buffer_size": 5}
_ADALORA: dict[str, Any] = {"finetuning_type": "adalora", "adapter_kwargs": {"tinit": 1, "init_r": 5}}
_VERA: dict[str, Any] = {"finetuning_type": "vera", "lora_rank": 16}
_TOLD: dict[str, Any] = {"predict_with_generate": True, "max_new_tokens": 4}
COMBINATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "pt, streamed": ("pt", "lora", _STREAM),
    "rm, streamed": ("rm", "qlora", _STREAM),
    "dpo, streamed": ("dpo", "full", _STREAM),
    "kto, streamed": ("kto", "lora", _STREAM),
    # The head of a reward model lies beside the adapter, whatever kind it is.
    "rm, adalora": ("rm", "lora", _ADALORA),
    "rm, pissa": ("rm", "lora", {"pissa_init": True}),
    "rm, ia3 on few bits": ("rm", "qlora", {"finetuning_type": "ia3", "lora_rank": 8}),
    "rm, by length": ("rm", "lora", {"group_by_length": True}),
    "kto, by length": ("kto", "full", {"group_by_length": True}),
    "kto, oft on few bits": ("kto", "qlora", {"finetuning_type": "oft", "oft_block_size": 8, "lora_rank": 8}),
    "dpo, lokr": ("dpo", "lora", {"finetuning_type": "lokr"}),
    "dpo, pissa": ("dpo", "lora", {"pissa_init": True}),
    "dpo, bco on few bits": ("dpo", "qlora", {"pref_loss": "bco_pair"}),
    "dpo, asked before": ("dpo", "qlora", {"precompute_ref_log_probs": True}),
    "kto, asked before": ("kto", "freeze", {"precompute_ref_log_probs": True}),
    # Packed text is looked at before the first step, with the adapter as it will be trained.
    "pt, vera on few bits": ("pt", "qlora", _VERA),
    "pt, prefix tuning": ("pt", "lora", {"finetuning_type": "prefix_tuning", "lora_rank": 8}),
    "sft, pissa and new tokens": ("sft", "lora", {"pissa_init": True, "add_tokens": ["plus"]}),
    "sft, dft": ("sft", "full", {"use_dft_loss": True, **_TOLD}),
    "sft, asft": ("sft", "qlora", {"use_asft_loss": True, **_TOLD}),
    "sft, eaft": ("sft", "lora", {"use_eaft_loss": True, "packing": True, **_TOLD}),
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_combination_goes_on_as_if_left_alone(courses: Courses, name: str) -> None:
    stage, method, values = COMBINATIONS[name]
    check_it_went_on_as_if_left_alone(courses.course(stage, method, **values))


def test_a_learning_rate_set_live_outlives_a_stop(courses: Courses) -> None:
    course = courses.course("dpo", "lora", set_live={"learning_rate": 3e-3}, lr_scheduler_type="constant")
    check_it_went_on_as_if_left_alone(course)
    rates = [event.values["learning_rate"] for event in events_of(course.resumed.run, "metrics")]
    assert rates == pytest.approx([1e-2, 3e-3, 3e-3, 3e-3])


@pytest.mark.parametrize("stage", ["dpo", "kto"])
def test_a_reference_with_adapter_and_few_bits_under_a_policy_of_few_bits(courses: Courses, stage: str) -> None:
    """The reference is what was fine-tuned, the policy starts from the base: they differ from the first step on."""
    tuned = courses.tuned()
    own = {
        "ref_model": str(courses.model()),
        "ref_model_adapters": [str(tuned)],
        "ref_model_quantization_bit": 4,
    }
    course = courses.course(stage, "qlora", **own)
    check_it_went_on_as_if_left_alone(course)
    assert events_of(course.whole.run, "metrics")[0].values["rewards/chosen"] != pytest.approx(0, abs=1e-3)


def test_rows_that_changed_before_a_resume_are_asked_about_again(courses: Courses) -> None:
    asked = {"precompute_ref_log_probs": True, "dataset": [str(courses.rows("dpo"))]}
    run = courses.run("dpo", "stopped", **asked)
    train_here(run, watching=[Send(run, STOPPED_AT, "stop")])
    courses.rows("dpo", stage_rows("dpo")[12:25])
    first = train_here(RunDirectory(shutil.copytree(run.path, courses.folder / "first")), resume=True)
    assert "run_reference_rows_changed" in [event.id for event in events_of(first.run, "finding")]
    # The same without what was kept of the rows before.
    (run.path / "reference_log_probs.safetensors").unlink()
    second = train_here(run, resume=True)
    assert figures_of(first.run) == figures_of(second.run)
