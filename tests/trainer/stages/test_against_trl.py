"""The losses of grpo and rloo against those of TRL's own trainers: value and gradient on the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tests.tiny import make_tiny_model
from trainer.config import Recipe
from trainer.engine.figures import Figures
from trainer.engine.token_counts import BatchCounts, with_counts
from trainer.stages.grpo import GroupTrainer, group_advantages, leave_one_out
from trainer.stages.rollouts import Answer, answer_batch

PROMPT, LENGTHS, LONGEST = 4, (6, 3, 5, 2), 8
BETA, TEMPERATURE = 0.3, 0.7


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("trl") / "tiny")


def ours(stage: str, model: Any, values: dict[str, object], *, on_policy: bool) -> GroupTrainer:
    """Our trainer, as far as its loss needs it."""
    found = object.__new__(GroupTrainer)
    found.table = Recipe().with_values({f"grpo.{name}": value for name, value in values.items()}).grpo
    found.is_rloo, found.reference = stage == "rloo", model
    found.settings = GenerationConfig(temperature=TEMPERATURE, do_sample=True, max_new_tokens=LONGEST)
    found.figures, found.buffer_epochs = Figures(), 1 if on_policy else 2
    return found


def theirs(stage: str, model: Any, folder: Path, values: dict[str, object]) -> Any:
    """TRL's trainer with the same settings."""
    kind, trainer = (trl.RLOOConfig, trl.RLOOTrainer) if stage == "rloo" else (trl.GRPOConfig, trl.GRPOTrainer)
    arguments = kind(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=LONGEST,
        temperature=TEMPERATURE,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        **values,
    )
    made = trainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=arguments,
        train_dataset=Dataset.from_list([{"prompt": "Hi"}]),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    made.current_gradient_accumulation_steps = 1
    return made


CASES = [
    ("grpo", True, {"loss_type": "grpo", "use_bias_correction_kl": False}),
    ("grpo", False, {"loss_type": "grpo", "use_bias_correction_kl": False, "epsilon_high": 0.28}),
    ("grpo", False, {"loss_type": "grpo", "use_bias_correction_kl": True}),
    ("grpo", False, {"loss_type": "dr_grpo", "use_bias_correction_kl": False}),
    ("grpo", False, {"loss_type": "dapo", "use_bias_correction_kl": True}),
    ("rloo", True, {}),
    ("rloo", False, {}),
]


@pytest.mark.parametrize(("stage", "on_policy", "values"), CASES, ids=[str(number) for number in range(len(CASES))])
def test_loss_and_gradient_are_those_of_trl(
    model_folder: Path, stage: str, on_policy: bool, values: dict[str, object]
) -> None:
    generator = torch.Generator().manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)

    def drawn(length: int) -> torch.Tensor:
        return torch.randint(3, 250, (length,), generator=generator)

    answers = [Answer(drawn(PROMPT), drawn(length), True, "", "", "") for length in LENGTHS]
    batch = answer_batch(answers, 0)
    values = {"beta": BETA, **values}
    trainer = ours(stage, model, values, on_policy=on_policy)
    with torch.no_grad():
        now = trainer.policy_scores(model, batch)
    mask = now.is_answer

    def near(scale: float) -> torch.Tensor:
        return (now.tokens + scale * torch.randn(mask.shape, generator=generator)) * mask

    batch["old"], batch["reference"] = now.tokens if on_policy else near(0.2), near(0.5)
    scores = torch.tensor([1.0, 0.0, 0.5, 2.0])
    gained = leave_one_out(scores, 4) if stage == "rloo" else group_advantages(scores, 4, scale=True)
    batch["advantages"] = gained[:, None] * mask

    other = theirs(stage, model, model_folder, values)
    tokens = slice(PROMPT - 1, PROMPT - 1 + max(LENGTHS))
    inputs = {
        "prompt_ids": batch["input_ids"][:, :PROMPT],
        "prompt_mask": torch.ones(4, PROMPT, dtype=torch.int64),
        "completion_ids": batch["input_ids"][:, PROMPT:],
        "completion_mask": mask[:, tokens].long(),
        "advantages": gained,
        "old_logps": batch["old"].sum(1),
        "ref_per_token_logps": batch["reference"][:, tokens],
        "num_items_in_batch": mask.sum(),
    }
    if not on_policy:
        inputs["old_per_token_logps"] = batch["old"][:, tokens]
    model.train()
    model.zero_grad()
    expected = other._compute_loss(model, inputs)
    expected.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    divisor = trainer.step_divisor([with_counts(dict(batch), BatchCounts(0, 0, int(mask.sum())))])
    found = trainer.losses(model, batch) / divisor
    found.backward()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
    assert any(gradient.abs().max() > 1e-3 for gradient in gradients)
