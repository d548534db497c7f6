"""The reference: what it gives stays as it was at the start, and asking it leaves the trained model untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from trainer.stages.reference import FrozenCopy, Reference, UntunedBase

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture
def adapted(tiny_model: Path) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    return get_peft_model(model, LoraConfig(r=4, lora_dropout=0.5, target_modules="all-linear", task_type="CAUSAL_LM"))


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def of_reference(reference: Reference) -> torch.Tensor:
    with reference.weights() as model:
        return logits(model)


def move(model: Any) -> None:
    """A step of training that changes everything that is trained."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3)


@pytest.mark.parametrize("kind", [UntunedBase, FrozenCopy])
def test_it_stays_while_the_model_moves(adapted: Any, kind: Any) -> None:
    reference = kind(adapted)
    start = logits(adapted.eval())
    move(adapted)
    adapted.train()
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    now = [parameter.detach().clone() for parameter in trained]
    torch.testing.assert_close(of_reference(reference), start)
    assert adapted.training
    assert [parameter for parameter in adapted.parameters() if parameter.requires_grad] == trained
    assert all(torch.equal(one, other) for one, other in zip(trained, now, strict=True))
    assert not torch.allclose(logits(adapted.eval()), start)


def test_gradients_reach_the_weights_after_it_was_asked(adapted: Any) -> None:
    reference = FrozenCopy(adapted)
    move(adapted)
    of_reference(reference)
    adapted(input_ids=IDS).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in adapted.parameters() if parameter.requires_grad)


def test_an_error_while_it_is_asked_leaves_the_model_as_it_was(adapted: Any) -> None:
    reference = FrozenCopy(adapted)
    move(adapted)
    moved = logits(adapted.eval())
    with pytest.raises(RuntimeError, match="out of memory"), reference.weights():
        raise RuntimeError("out of memory")
    assert torch.equal(logits(adapted), moved)
