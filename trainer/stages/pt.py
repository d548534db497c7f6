"""Stage pt: running text, every token of it. The trainer is that of sft; what differs is how rows lie in sequences."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from trainer.config import Recipe
from trainer.data import PreparedData

from .sft import SftTrainer, build_sequence_trainer


class PtTrainer(SftTrainer):
    """Tells the perplexity beside the loss of each evaluation."""

    def stage_figures(self, logs: dict[str, float], training: bool, weights: list[int]) -> dict[str, float]:
        """Perplexities, exp of the mean loss over all tokens, by data set where each has its own loss."""
        losses = {name: value for name, value in logs.items() if name.startswith("eval_") and name.endswith("loss")}
        found = {f"{name.removesuffix('loss')}perplexity": _perplexity(loss) for name, loss in losses.items()}
        return {**super().stage_figures(logs, training, weights), **found}


def _perplexity(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def build_pt_trainer(model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path) -> PtTrainer:
    """The trainer for stage pt, ready for `attach` and `train`.

    Raises:
        UserError: when the installed version refuses a setting, or the model lets packed texts see each other.
    """
    return build_sequence_trainer(PtTrainer, model, tokenizer, data, recipe, folder)
