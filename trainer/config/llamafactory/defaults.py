"""LLaMA-Factory's defaults that differ from ours; an imported file keeps them. Those that are alike stand nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

THEIR_DEFAULTS: Mapping[str, object] = {
    "train.do_train": False,
    "train.learning_rate": 5e-5,
    "train.per_device_train_batch_size": 8,
    "train.per_device_eval_batch_size": 8,
    "train.gradient_accumulation_steps": 1,
    "train.lr_scheduler_type": "linear",
    "train.optim": "adamw_torch_fused",
    "train.bf16": False,
    "train.logging_steps": 500,
    "train.save_steps": 500,
    "data.on_bad_row": "skip",
    "data.neat_packing": False,
    "swanlab.swanlab_project": "llamafactory",
}
"""By dotted key. `eval_steps` is not here: it is their `logging_steps`. Source: hparams/*.py and transformers 5."""

_IN_TRAINING = (
    "train.learning_rate",
    "train.per_device_train_batch_size",
    "train.gradient_accumulation_steps",
    "train.lr_scheduler_type",
    "train.optim",
    "train.bf16",
    "train.logging_steps",
)


def kept_defaults(values: Mapping[str, Mapping[str, Any]], *, is_run: bool) -> dict[str, object]:
    """By dotted key, what has to be written so that the file means with us what it means with LLaMA-Factory.

    `is_run`: it trains, evaluates or predicts; a file for chat or export has no use for the rest.
    """
    train = values.get("train", {})
    wanted = ["train.do_train"]
    trains = bool(train.get("do_train"))
    evaluation = train.get("eval_strategy", "no")
    if is_run:
        wanted.append("data.on_bad_row")
    if trains:
        wanted += _IN_TRAINING
        if train.get("save_strategy", "steps") == "steps":
            wanted.append("train.save_steps")
        if values.get("method", {}).get("stage") == "pt":
            # Their texts see each other; ours do not unless it is asked for.
            wanted.append("data.neat_packing")
    if evaluation != "no" or train.get("do_eval") or train.get("do_predict"):
        wanted.append("train.per_device_eval_batch_size")
    if values.get("swanlab", {}).get("use_swanlab"):
        wanted.append("swanlab.swanlab_project")
    found = {key: THEIR_DEFAULTS[key] for key in wanted if not _is_set(values, key)}
    if evaluation == "steps" and "eval_steps" not in train:
        found["train.eval_steps"] = train.get("logging_steps", THEIR_DEFAULTS["train.logging_steps"])
    return found


def _is_set(values: Mapping[str, Mapping[str, Any]], key: str) -> bool:
    table, _, name = key.partition(".")
    return name in values.get(table, {})
