"""What is held or computed in float32 though the rest is not, and what TRL must leave as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from trl.trainer.utils import add_fused_lm_head

from trainer.config import Recipe
from trainer.model.load import load_model
from trainer.model.precision import trained_precision_kept, use_float32_logits
from trainer.run.messages import silent

TOKENS = torch.arange(3, 43)[None]
FIGURES = ("log_probs", "entropy", "is_top1")


def load(folder: Path, **values: object) -> Any:
    keys = {f"model.{name}": value for name, value in values.items()}
    return load_model(
        Recipe().with_values({"model.model_name_or_path": str(folder), "train.bf16": True, **keys}), silent
    )


def test_norms_are_held_in_float32_and_nothing_else_is(tiny_model: Path) -> None:
    model = load(tiny_model, upcast_layernorm=True)
    wide = {name for name, parameter in model.named_parameters() if parameter.dtype is torch.float32}
    assert wide == {name for name, _ in model.named_parameters() if "norm" in name}
    with torch.autocast("cpu", torch.bfloat16):
        assert model(TOKENS).logits.isfinite().all()


def test_the_loss_is_computed_from_float32_logits(tiny_model: Path) -> None:
    model = load(tiny_model)
    add_fused_lm_head(model, outputs=FIGURES)

    def figures() -> torch.Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            found: torch.Tensor = model(TOKENS, labels=TOKENS, fused_lm_head=True).log_probs
            return found

    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(TOKENS).last_hidden_state[:, :-1].float()
    logits = hidden @ model.get_output_embeddings().weight.float().t()
    expected = logits.log_softmax(-1).gather(-1, TOKENS[:, 1:, None])[..., 0]
    assert (figures() - expected).abs().max() > 1e-4
    use_float32_logits(model, outputs=FIGURES)
    torch.testing.assert_close(figures(), expected.detach())


def test_adapters_come_back_as_they_were_from_who_rounds_them(tiny_model: Path) -> None:
    model = get_peft_model(load(tiny_model), LoraConfig(r=2, target_modules=["q_proj"]))
    trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
    before = {name: each.detach().clone() for name, each in trained.items()}
    with trained_precision_kept(model):
        for each in trained.values():
            each.data = each.data.to(torch.bfloat16)
    for name, each in trained.items():
        assert each.dtype is torch.float32
        assert torch.equal(each, before[name])
