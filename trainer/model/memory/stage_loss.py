"""The forward pass and the loss of each stage on fake tensors, every token labelled. Not for the model (`blueprint`).

What lies where depends on sizes alone, so that masks, whose results have sizes that depend on values, stand here as
indices of every token.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from torch.utils.checkpoint import checkpoint

from trainer.config import Recipe
from trainer.config.form import ADAPTER_METHODS

PREFERENCE = ("dpo", "kto")
"""Stages that learn from the probabilities of whole answers."""
WITH_ANSWERS = (*PREFERENCE, "ppo", "grpo", "rloo")
"""Stages that go by the log-probabilities of answers, and stay near a reference."""

_LOGITS_AT_ONCE = 2**25
"""As in `trainer.stages.sft_losses`."""
_LIKELIEST = 20


def stage_loss(model: Any, inputs: dict[str, Any], recipe: Recipe) -> torch.Tensor:
    """The loss of a batch, as the trainer of the stage computes it."""
    method = recipe.method
    if method.stage in WITH_ANSWERS:
        return _of_answers(model, inputs)
    if method.stage == "rm":
        chosen, rejected = _rewards(model, inputs).chunk(2)
        return -torch.nn.functional.logsigmoid(chosen - rejected).mean()
    causal = model.get_base_model() if isinstance(model, PeftModel) else model
    found: list[torch.Tensor] = []
    handle = causal.base_model.register_forward_hook(lambda _, __, outputs: found.append(outputs.last_hidden_state))
    outputs = model(**inputs, fused_lm_head=True, use_cache=False)
    handle.remove()
    log_probs, hidden = outputs.log_probs, found.pop()[:, :-1]
    width = hidden.shape[-1]
    if method.use_eaft_loss:
        with torch.no_grad():
            entropy = _entropy(hidden[_everywhere(hidden)].reshape(-1, width), causal)
        log_probs = log_probs * entropy.reshape(log_probs.shape)
    elif method.use_asft_loss:
        batch = {name: value for name, value in inputs.items() if name != "labels"}
        untuned = _untuned(model, causal, batch)[:, :-1]
        every = _everywhere(hidden)
        kept = _divergence(hidden[every].reshape(-1, width), untuned[every].reshape(-1, width), causal)
        log_probs = log_probs * log_probs.detach().exp() + kept.reshape(log_probs.shape)
    return -log_probs.sum() / inputs["input_ids"].numel()


def evaluate(model: Any, inputs: dict[str, Any], recipe: Recipe) -> None:
    """The same without gradients; evaluations of sft go by the usual loss."""
    if recipe.method.stage in (*PREFERENCE, "rm"):
        stage_loss(model, inputs, recipe)
    else:
        model(**inputs, fused_lm_head=True, use_cache=False)


def keeps_reference(recipe: Recipe) -> bool:
    """Whether there is a model that the trained one is held to, during the training."""
    method, preference = recipe.method, recipe.preference
    if method.stage == "sft":
        return bool(method.use_asft_loss)
    if method.stage in PREFERENCE and preference.precompute_ref_log_probs:
        return False
    if method.stage == "dpo":
        return preference.pairs_need_reference
    return method.stage in WITH_ANSWERS


def reference_is_base(recipe: Recipe) -> bool:
    """Whether that model is the trained one without its adapter, as in `trainer.stages.reference`."""
    if recipe.method.finetuning_type not in ADAPTER_METHODS or recipe.lora.pissa_init:
        return False
    return not recipe.model.adapter_name_or_path or recipe.lora.create_new_adapter


def _of_answers(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """As in `trainer.stages.log_probabilities`: all logits, and copies in float32 of what is learned."""
    labels = inputs.pop("labels")[:, 1:].reshape(-1)
    logits = model(**inputs, use_cache=False).logits
    chosen = logits[:, :-1][_everywhere(logits[:, :-1])].float() / 1.0
    del logits
    return torch.nn.functional.cross_entropy(chosen, labels, reduction="none").sum()


def _rewards(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """(rows,): the last hidden state through the head."""
    inputs.pop("labels")
    classifier = model.get_base_model() if isinstance(model, PeftModel) else model
    states = classifier.base_model(**inputs, use_cache=False).last_hidden_state
    head = next(module for name, module in classifier.named_children() if name in ("score", "classifier"))
    return head(states)[:, -1, 0].float()


def _everywhere(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of all tokens of (rows, length, ...), as a mask becomes them."""
    rows, length = values.shape[:2]
    return torch.zeros(rows * length, dtype=torch.long), torch.zeros(rows * length, dtype=torch.long)


def _logits(hidden: torch.Tensor, causal: Any) -> torch.Tensor:
    head = causal.get_output_embeddings()
    return torch.nn.functional.linear(hidden, head.weight, head.bias).float() * 1.0


def _pieces(causal: Any, *hidden: torch.Tensor) -> Any:
    size = max(1, _LOGITS_AT_ONCE // causal.get_output_embeddings().weight.shape[0])
    return zip(*(each.split(size) for each in hidden), strict=True)


def _entropy(hidden: torch.Tensor, causal: Any) -> torch.Tensor:
    """EAFT's factor."""
    found = []
    for (piece,) in _pieces(causal, hidden):
        top = _logits(piece, causal).topk(_LIKELIEST, dim=-1).values.log_softmax(dim=-1)
        found.append(-(top.exp() * top).sum(dim=-1))
    return torch.cat(found)


def _untuned(model: Any, causal: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """ASFT's other forward pass, without gradients."""
    model.eval()
    with torch.no_grad():
        if isinstance(model, PeftModel):
            with model.disable_adapter():
                states = causal.base_model(**inputs).last_hidden_state
        else:
            states = causal.base_model(**inputs).last_hidden_state
    model.train()
    return states


def _divergence(hidden: torch.Tensor, untuned: torch.Tensor, causal: Any) -> torch.Tensor:
    """ASFT's anchor."""

    def of_piece(piece: torch.Tensor, untuned_piece: torch.Tensor) -> torch.Tensor:
        ours = _logits(piece, causal).log_softmax(dim=-1)
        with torch.no_grad():
            theirs = _logits(untuned_piece, causal).log_softmax(dim=-1)
        return (theirs.exp() * (theirs - ours)).sum(dim=-1)

    pieces = _pieces(causal, hidden, untuned)
    return torch.cat([checkpoint(of_piece, *piece, use_reentrant=False) for piece in pieces])
