"""A stand-in for `python -m trainer inspect`: the same protocol over real pipes, with simple arithmetic. Not run by
pytest.

A run needs 10 GiB and 2 GiB for each row of its batch; 22 GiB of 24 are free. With rank 13 the worker ends, rank 14 it
refuses, rank 15 it answers only when it is asked something else.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

GIBI = 2**30
FREE = 22 * GIBI


def say(**answer: Any) -> None:
    print(json.dumps(answer), flush=True)


def need(rows: int) -> int:
    return (10 + 2 * rows) * GIBI


def estimate(rows: int, length: int | None) -> dict[str, Any]:
    parts = dict.fromkeys(
        ("trained_weights", "gradients", "optimizer", "logits", "update", "evaluation", "overhead"), 0
    )
    total = need(rows)
    memory = {
        **parts,
        "frozen_weights": 10 * GIBI,
        "activations": total - 10 * GIBI,
        "stored_weights": 2 * GIBI,
        "stored_optimizer": 4 * GIBI,
        "batch": rows,
        "length": length or 2048,
        "layers": 32,
        "is_formula": False,
    }
    device = {"name": "Some GPU", "is_gpu": True, "index": 0, "total": 24 * GIBI, "free": FREE}
    verdict = "no" if total > FREE else "tight" if total > 0.92 * FREE else "fits"
    speed = {"tokens_per_second": 100.0, "run": "earlier-1", "exact": True}
    told = {"memory": memory, "device": device, "others": [], "total": total, "verdict": verdict}
    return {**told, "disk_free": 100 * GIBI, "speed": speed, "savings": []}


def savings(recipe: dict[str, Any], rows: int) -> list[dict[str, Any]]:
    batches = recipe["train"]["gradient_accumulation_steps"]
    change = {"train.per_device_train_batch_size": 1, "train.gradient_accumulation_steps": batches * rows}
    shorter = {"data.cutoff_len": 256}
    return [
        {"change": change, "total": need(1), "fits": True},
        {"change": shorter, "total": need(rows) - GIBI, "fits": False},
    ]


def main() -> None:
    say(event="ready")
    held: int | None = None
    for line in sys.stdin:
        request = json.loads(line)
        number, recipe = request["id"], request["recipe"]
        if held is not None:
            say(event="dropped", id=held)
            held = None
        rank = recipe.get("lora", {}).get("lora_rank")
        if rank == 13:
            os._exit(3)
        if rank == 14:
            say(event="error", id=number, text="rank 14 brings bad luck", field="lora_rank")
            continue
        if rank == 15:
            held = number
            continue
        rows = recipe["train"]["per_device_train_batch_size"]
        told = estimate(rows, request.get("length"))
        say(event="estimate", id=number, **told)
        say(event="savings", id=number, savings=[] if told["verdict"] == "fits" else savings(recipe, rows))


main()
