"""The proof, on the model that is about to be trained, that packed rows do not see each other.

transformers keeps rows apart in the masks of attention. Models with recurrent layers, and the few whose masks know
nothing of positions, would mix the rows without a word.
"""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from peft import PeftModel

from trainer.data.collate import IsolatingCollator
from trainer.errors import UserError

_TOKENS = 8
_LEAK = 0.1
"""Rounding may differ by a hair where experts compute whole batches; what leaks through attention is far more."""


def check_rows_stay_apart(model: Any, accelerator: Accelerator, collator: IsolatingCollator, field: str) -> None:
    """Change a row and look at the next one of the same sequence: nothing may move there.

    Raises: UserError when the rows see each other; it names `field`, the parameter that asked for the packing.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), accelerator.autocast():
            kept = _change(model, collator, isolated=True)
            free = _change(model, collator, isolated=False)
    finally:
        model.train(was_training)
    if kept > _LEAK * free:
        raise UserError(
            f"the rows of a sequence would see each other: {type(_innermost(model)).__name__} does not keep them apart",
            field=field,
            value=True,
            hint=f"Set {field} = false; packing = true packs rows that do see each other.",
        )


def _change(model: Any, collator: IsolatingCollator, *, isolated: bool) -> float:
    """By how much the logits of a row move at most when the row before it becomes another one."""
    entries = int(model.get_input_embeddings().weight.shape[0])
    rows = [
        [(start + number * step) % entries for number in range(_TOKENS)] for start, step in ((1, 3), (2, 5), (3, 7))
    ]
    before, other, row = rows
    logits = []
    for first in (before, other):
        ids = first + row
        batch = collator([{"input_ids": ids, "labels": ids, "starts": [0, _TOKENS]}])
        inputs = {name: values.to(model.device) for name, values in batch.items() if name != "labels"}
        if not isolated:
            inputs.pop("position_ids")
        logits.append(model(**inputs, use_cache=False).logits[0, _TOKENS : 2 * _TOKENS].float())
    return float((logits[0] - logits[1]).abs().max())


def _innermost(model: Any) -> Any:
    """The model inside of the adapters."""
    return model.get_base_model() if isinstance(model, PeftModel) else model
