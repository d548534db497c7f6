"""The model that preference training stays near: three ways to have it, and asking it before the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from trainer.config import Recipe
from trainer.data.collate_answers import AnswerRows
from trainer.errors import UserError
from trainer.model import pissa
from trainer.model.adapters import continues_adapter, load_adapters
from trainer.model.load import load_model
from trainer.model.vocabulary import grow_vocabulary
from trainer.run.messages import Say, silent, words

_MIB = 2**20


class Reference(Protocol):
    """A way to the reference model."""

    def weights(self) -> Any:
        """A context that gives the model to run; it is in evaluation mode there."""
        ...


@dataclass(frozen=True)
class UntunedBase:
    """The trained model with its adapter switched off."""

    model: Any

    @contextmanager
    def weights(self) -> Iterator[Any]:
        """The base model."""
        with _evaluating(self.model), self.model.disable_adapter():
            yield self.model


class FrozenCopy:
    """The trained model with the weights that it had at the start; only those that are trained are kept twice."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._kept = [parameter.detach().clone() for parameter in self._trained]

    @property
    def bytes(self) -> int:
        """What the copy takes."""
        return sum(kept.nbytes for kept in self._kept)

    @contextmanager
    def weights(self) -> Iterator[Any]:
        """The model as it was; the trained weights are put back afterwards, untouched."""
        now = [parameter.data for parameter in self._trained]
        for parameter, kept in zip(self._trained, self._kept, strict=True):
            parameter.data = kept
        try:
            with _evaluating(self._model):
                yield self._model
        finally:
            for parameter, data in zip(self._trained, now, strict=True):
                parameter.data = data


@dataclass(frozen=True)
class OtherModel:
    """A model of its own, frozen."""

    model: Any

    @contextmanager
    def weights(self) -> Iterator[Any]:
        """That model."""
        yield self.model


def make_reference(model: Any, recipe: Recipe, say: Say) -> Reference:
    """The reference of a recipe for a model that is prepared for training; what was chosen is told.

    Raises: UserError when `ref_model` or its adapters cannot be loaded, or when it knows fewer tokens.
    """
    preference = recipe.preference
    if preference.ref_model:
        say("info", words("run_reference_model", name=preference.ref_model))
        other = _load(recipe, say).eval().requires_grad_(False)
        _check_vocabulary(other, model, preference.ref_model)
        # Weights of few bits lie where they were quantized.
        in_bits = preference.ref_model_quantization_bit is not None
        return OtherModel(other if in_bits else other.to(model.device))
    # Without its adapter the model is not what it is at the start where the adapter was trained before, and where it
    # was taken out of the weights.
    starts_as_base = not continues_adapter(recipe) and not pissa.has_start(model)
    if isinstance(model, PeftModel) and starts_as_base:
        say("info", words("run_reference_base"))
        return UntunedBase(model)
    copy = FrozenCopy(model)
    say("info", words("run_reference_copy", size=f"{copy.bytes / _MIB:,.0f}"))
    return copy


def _load(recipe: Recipe, say: Say) -> Any:
    """`ref_model` with its adapters."""
    preference = recipe.preference
    own = recipe.with_values(
        {
            "model.model_name_or_path": preference.ref_model,
            "model.adapter_name_or_path": preference.ref_model_adapters,
            # None of its adapters is trained on.
            "lora.create_new_adapter": True,
            "model.train_from_scratch": False,
            "quantization.quantization_bit": preference.ref_model_quantization_bit,
        }
    )
    model = load_model(own, say)
    grow_vocabulary(model, own, silent)
    return load_adapters(model, preference.ref_model_adapters, trainable=False)


def _check_vocabulary(other: Any, model: Any, name: str) -> None:
    known, needed = (int(each.get_input_embeddings().weight.shape[0]) for each in (other, model))
    if known < needed:
        raise UserError(
            f"this model has embeddings for {known} tokens, the trained one for {needed}: both must read the same",
            field="ref_model",
            value=name,
            hint="Choose a reference with the tokenizer of the model, or leave ref_model unset.",
        )


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode: no dropout."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def precompute(
    reference: Reference,
    data: Mapping[str, AnswerRows],
    file: Path,
    score: Callable[[Any, AnswerRows], torch.Tensor],
    say: Say,
) -> None:
    """Give each set of rows what the reference makes of its answers, and keep it in `file` for a resumed run.

    `score` takes the model and the rows and gives (rows, 2) float32. Of other rows than those of `file` the reference
    is asked again, which is told.
    """
    digests = {name: rows.digest() for name, rows in data.items()}
    known = _digests(file) if file.is_file() else {}
    if known == digests:
        kept = load_file(file)
    else:
        if known:
            say("warning", words("run_reference_rows_changed"))
        with reference.weights() as model:
            kept = {name: score(model, rows) for name, rows in data.items()}
        staging = file.with_suffix(".staging")
        save_file(kept, staging, metadata=digests)
        staging.replace(file)
    for name, rows in data.items():
        rows.reference = kept[name]


def _digests(file: Path) -> dict[str, str]:
    """Of which rows the numbers in a file are."""
    with safe_open(file, framework="pt") as opened:
        return dict(opened.metadata() or {})
