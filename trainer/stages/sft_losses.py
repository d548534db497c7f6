"""The losses of stage sft beside the mean negative log-likelihood: DFT, ASFT and EAFT, each token by token.

`nll` is -log p of a token that is learned, p the model's probability for it; nothing flows back through the factors.
- DFT, Wu et al. 2025, "On the Generalization of SFT", arXiv 2508.05629: p * nll.
- ASFT, Zhu et al. 2025, "Anchored Supervised Fine-Tuning", arXiv 2509.23753: p * nll + alpha * KL(untuned || model),
  in the direction that LLaMA-Factory takes.
- EAFT, Diao et al. 2026, "Entropy-Adaptive Fine-Tuning", arXiv 2601.02151: (H / 3)^alpha * nll, H the entropy of the 20
  likeliest tokens among themselves, whose largest value is ln 20, about 3.

A step's loss is the sum over its tokens through their number, as with the usual loss, however they are batched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from trainer.config import Recipe
from trainer.run.messages import Say, words
from trainer.stages.hidden_states import causal_model, last_hidden_state
from trainer.stages.reference import Reference, make_reference

_LIKELIEST = 20
_THEIR_ENTROPY = 3.0
_LOGITS_AT_ONCE = 2**25
"""Logits (float32) that are there at a time: 128 MiB."""


@dataclass(frozen=True)
class Head:
    """From the last hidden state to logits, as the model does it."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    scale: float
    limit: float | None

    @classmethod
    def of(cls, causal: Any) -> Head:
        """The output layer of a causal language model, with the factors that architectures put behind it."""
        layer, config = causal.get_output_embeddings(), causal.config.get_text_config()
        return cls(layer.weight, layer.bias, _scale(config), getattr(config, "final_logit_softcapping", None))

    def kept(self) -> Head:
        """The same with the weights of now, whatever the model gets in their place."""
        bias = None if self.bias is None else self.bias.detach()
        return Head(self.weight.detach(), bias, self.scale, self.limit)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of (tokens, width) hidden states: (tokens, vocabulary) float32."""
        logits = torch.nn.functional.linear(hidden, self.weight, self.bias).float() * self.scale
        return logits if self.limit is None else self.limit * torch.tanh(logits / self.limit)

    def chunks(self, *hidden: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
        """The tokens in pieces whose logits fit into memory."""
        size = max(1, _LOGITS_AT_ONCE // self.weight.shape[0])
        return zip(*(each.split(size) for each in hidden), strict=True)


def _scale(config: Any) -> float:
    """What the logits are multiplied by; TRL's fused head knows the same names."""
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        if getattr(config, name, None) is not None:
            return float(getattr(config, name))
    scaling = getattr(config, "logits_scaling", None)
    if scaling is None:
        return 1.0
    return float(scaling) if config.model_type == "hyperclovax" else 1 / float(scaling)


def dft(log_probs: torch.Tensor) -> torch.Tensor:
    """Each token's loss, from the log-probabilities of the tokens that are learned."""
    return -log_probs * log_probs.detach().exp()


def eaft(log_probs: torch.Tensor, entropy: torch.Tensor, alpha: float) -> torch.Tensor:
    """Each token's loss; `entropy` is that of `entropy_of_likeliest`."""
    return -log_probs * (entropy / _THEIR_ENTROPY).pow(alpha)


@torch.no_grad()
def entropy_of_likeliest(hidden: torch.Tensor, head: Head) -> torch.Tensor:
    """The entropy of the likeliest tokens among themselves: (tokens,) float32."""
    found = []
    for (piece,) in head.chunks(hidden):
        top = head.logits(piece).topk(min(_LIKELIEST, head.weight.shape[0]), dim=-1).values.log_softmax(dim=-1)
        found.append(-(top.exp() * top).sum(dim=-1))
    return torch.cat(found)


def divergence(hidden: torch.Tensor, head: Head, untuned: torch.Tensor, untuned_head: Head) -> torch.Tensor:
    """KL(untuned || model) of each token's prediction, (tokens,) float32, with gradients for the model.

    The logits are computed again in the backward pass instead of being kept.
    """

    def of_piece(piece: torch.Tensor, untuned_piece: torch.Tensor) -> torch.Tensor:
        ours = head.logits(piece).log_softmax(dim=-1)
        with torch.no_grad():
            theirs = untuned_head.logits(untuned_piece).log_softmax(dim=-1)
        return (theirs.exp() * (theirs - ours)).sum(dim=-1)

    pieces = head.chunks(hidden, untuned)
    return torch.cat([checkpoint(of_piece, *piece, use_reentrant=False) for piece in pieces])


@torch.no_grad()
def untuned_states(reference: Reference, inputs: dict[str, Any]) -> tuple[torch.Tensor, Head]:
    """The last hidden state of the untuned model for a batch, and its output layer."""
    with reference.weights() as model:
        causal = causal_model(model)
        # Of a copy, the weights are exchanged for those that are trained as soon as the context ends.
        return causal.base_model(**inputs).last_hidden_state, Head.of(causal).kept()


TokenLoss = Callable[[Any, Any, dict[str, Any]], torch.Tensor]
"""Each token's loss, zero where there is none, from the outputs of TRL's fused head, the model, and the batch:
(batch, sequence - 1)."""


def token_loss(model: Any, recipe: Recipe, say: Say) -> TokenLoss | None:
    """The loss that the recipe asks for; None for the usual one. The untuned model is `model` as it is now."""
    method = recipe.method
    if not (method.use_dft_loss or method.use_asft_loss or method.use_eaft_loss):
        return None
    say(
        "info",
        words("run_loss_of_tokens", name="DFT" if method.use_dft_loss else "ASFT" if method.use_asft_loss else "EAFT"),
    )
    if method.use_dft_loss:
        return lambda outputs, model, inputs: dft(outputs.log_probs)
    if method.use_eaft_loss:
        return _Eaft(method.eaft_alpha)
    return _Asft(method.asft_alpha, make_reference(model, recipe, say))


@dataclass(frozen=True)
class _Eaft:
    alpha: float

    def __call__(self, outputs: Any, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        mask = outputs.label_mask
        entropy = entropy_of_likeliest(outputs.hidden[mask], Head.of(model))
        return eaft(outputs.log_probs, _spread(entropy, mask), self.alpha)


@dataclass(frozen=True)
class _Asft:
    alpha: float
    reference: Reference

    def __call__(self, outputs: Any, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        untuned, untuned_head = untuned_states(self.reference, inputs)
        mask = outputs.label_mask.clone()
        # Adapters that put tokens of their own in front: there the untuned model says nothing.
        ahead = outputs.hidden.shape[1] + 1 - untuned.shape[1]
        mask[:, :ahead] = False
        kept = divergence(outputs.hidden[mask], Head.of(model), untuned[:, :-1][mask[:, ahead:]], untuned_head)
        return dft(outputs.log_probs) + self.alpha * _spread(kept, mask)


def _spread(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Values of the tokens of a mask at their places, zero elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


class WeighingModel:
    """Stands for the model where TRL computes its loss, which is the sum of -log_probs: they are made the token losses.

    All else of TRL's loss holds then too: the mean over the step, experts, entropy and accuracy.
    """

    def __init__(self, model: Any, causal: Any, loss: TokenLoss) -> None:
        """`model` is what is called, possibly wrapped; `causal` the causal language model in it."""
        self._model, self._causal, self._loss = model, causal, loss

    def __call__(self, **inputs: Any) -> Any:
        """The outputs of TRL's fused head."""
        with last_hidden_state(self._causal) as hidden:
            outputs = self._model(**inputs)
        outputs.hidden = hidden[0][:, :-1]
        batch = {name: value for name, value in inputs.items() if name not in ("labels", "fused_lm_head")}
        outputs.log_probs = -self._loss(outputs, self._causal, batch)
        return outputs
