"""Evaluation on several data sets: a loss for each, and the one over all of them that everything else goes by."""

from __future__ import annotations

import time
from typing import Any

from transformers.trainer_utils import speed_metrics

from trainer.config.tables.names import ANSWER_SCORES

from .token_counts import TokenMean, weigh_by_tokens


def evaluate_sets(trainer: Any, mean: TokenMean) -> dict[str, float]:
    """Evaluate on each data set of `trainer.eval_dataset` (by name); `mean` gathers the losses of all batches.

    The figures are `eval_<name>_loss` for each and `eval_loss`, the mean over all labelled tokens: the same as that of
    one evaluation on all rows. With `compute_accuracy` the shares of right tokens are there likewise, with
    `predict_with_generate` the scores of the answers. They are logged
    and handed to the callbacks once, together: the Trainer's own way calls them once for each data set, and early
    stopping would not find its figure.
    """
    started = time.time()
    metrics: dict[str, float] = {}
    sums = dict.fromkeys(ANSWER_SCORES, 0.0)
    rows = 0
    for name in trainer.eval_dataset:
        first = len(mean.weights)
        loader = trainer.get_eval_dataloader(name)
        output = trainer.evaluation_loop(
            loader, description="Evaluation", prediction_loss_only=True, metric_key_prefix=f"eval_{name}"
        )
        rows += output.num_samples
        metrics[f"eval_{name}_loss"] = mean.mean(first)
        if trainer.recipe.method.compute_accuracy:
            found = {"accuracy": trainer._metrics["eval"]["mean_token_accuracy"][first:]}
            weigh_by_tokens(found, mean.weights[first:])
            metrics[f"eval_{name}_accuracy"] = found["accuracy"][0]
        if trainer.recipe.train.predict_with_generate:
            scores = {score: output.metrics[f"eval_{name}_{score}"] for score in ANSWER_SCORES}
            metrics.update({f"eval_{name}_{score}": value for score, value in scores.items()})
            sums = {score: sums[score] + value * output.num_samples for score, value in scores.items()}
    metrics["eval_loss"] = mean.mean()
    if trainer.recipe.train.predict_with_generate:
        metrics.update({f"eval_{score}": total / rows for score, total in sums.items()})
    tell_evaluation(trainer, metrics, started, rows)
    return metrics


def tell_evaluation(trainer: Any, metrics: dict[str, float], started: float, rows: int) -> None:
    """Log the figures of an evaluation of that many rows and hand them to the callbacks; its speed is added to them."""
    metrics.update(speed_metrics("eval", started, num_samples=rows))
    trainer.log(metrics)
    trainer.control = trainer.callback_handler.on_evaluate(trainer.args, trainer.state, trainer.control, metrics)
