"""What dpo and kto have in common: log-probabilities of answers under the model and under the reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from trainer.config import Recipe
from trainer.config.tables.preference import PreferenceTable
from trainer.data.collate_answers import AnswerRows
from trainer.engine.live import StopTraining
from trainer.engine.row_trainer import RowTrainer
from trainer.run.messages import Say, words

from .reference import Reference, make_reference, precompute

_REFERENCE_FILE = "reference_log_probs.safetensors"


class PreferenceTrainer(RowTrainer):
    """A trainer with a reference model, which is asked batch by batch or, once, before the training."""

    table: PreferenceTable
    reference: Reference | None = None
    precomputes = False

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, after asking the reference for everything where the recipe says so.

        Raises:
            StopTraining: when the run is to stop before its first step.
        """
        if self.precomputes and self.reference is not None:
            self.session.phase("preparing", "asking the reference model")
            file = Path(self.args.output_dir) / _REFERENCE_FILE
            precompute(self.reference, self._answer_rows(), file, self._reference_sums_of, self.session.finding)
            self.reference = None
        return super().train(*args, **kwargs)

    def _answer_rows(self) -> Mapping[str, AnswerRows]:
        evaluation = self.eval_dataset
        if evaluation is None:
            return {"train": self.train_dataset}
        if isinstance(evaluation, dict):
            return {"train": self.train_dataset, **{f"evaluation_{name}": rows for name, rows in evaluation.items()}}
        return {"train": self.train_dataset, "evaluation": evaluation}

    def _reference_sums_of(self, model: Any, rows: AnswerRows) -> torch.Tensor:
        """(rows, 2): the reference's log-probabilities of all rows."""
        loader = DataLoader(rows, self.args.per_device_eval_batch_size, collate_fn=self.data_collator.collator)
        found: list[torch.Tensor] = []
        for batch in loader:
            self.live.poll()
            if self.live.stopping:
                raise StopTraining
            inputs = self._prepare_inputs(batch)
            with torch.no_grad(), self.compute_loss_context_manager():
                found.append(self.answer_sums(model, inputs).T.cpu())
        return torch.cat(found).contiguous()

    def answer_sums(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(2, rows) float32: the log-probabilities of first and second answers under a model."""
        raise NotImplementedError

    def reference_sums(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """(2, rows) float32: the reference's log-probabilities of first and second answers; None without reference."""
        if "reference" in inputs:
            return inputs["reference"].T
        if self.reference is None:
            return None
        with torch.no_grad(), self.reference.weights() as model:
            return self.answer_sums(model, inputs)


def give_reference(trainer: PreferenceTrainer, recipe: Recipe, say: Say) -> None:
    """Load or copy the reference, now that the trained model lies where it is trained."""
    trainer.reference = make_reference(trainer.model, recipe, say)
    trainer.precomputes = recipe.preference.precompute_ref_log_probs
    if trainer.precomputes:
        say("info", words("run_reference_precomputed"))
