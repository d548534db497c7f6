"""What batches save when an evaluation generates answers: `python -m benchmarks.answers_in_batches [--rows 64]`.

The bundled demo model answers the first rows of `data/identity.json` greedily, one at a time and in batches, in turns;
the same answers have to come out. Prints answers per second and the ratio to one at a time, medians of three.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.config import Recipe
from trainer.engine.generation import generate_batch, generation_settings
from trainer.engine.text_scores import text_scores

DATA = Path(__file__).parent.parent / "data"
SIZES = (1, 8, 32)
ROUNDS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=64)
    count = parser.parse_args().rows
    model = AutoModelForCausalLM.from_pretrained(DATA / "demo_model").eval()
    tokenizer = AutoTokenizer.from_pretrained(DATA / "demo_model")
    rows = json.loads((DATA / "identity.json").read_text(encoding="utf-8"))[:count]
    prompts = [_prompt(tokenizer, row["instruction"]) for row in rows]
    recipe = Recipe.model_validate({"generation": {"do_sample": False, "max_new_tokens": 48}})
    settings = generation_settings(model, tokenizer, recipe)
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    answers: dict[int, list[str]] = {}
    for _ in range(ROUNDS):
        for size in SIZES:
            started = time.perf_counter()
            found = [
                ids for at in range(0, count, size) for ids in generate_batch(model, settings, prompts[at : at + size])
            ]
            seconds[size].append(time.perf_counter() - started)
            answers[size] = [tokenizer.decode(ids, skip_special_tokens=True) for ids in found]
    same = all(each == answers[SIZES[0]] for each in answers.values())
    alone = statistics.median(seconds[SIZES[0]])
    print(f"{count} answers, the same in every size of batch: {same}")
    for size in SIZES:
        took = statistics.median(seconds[size])
        print(f"{size:>3} at once: {count / took:6.1f} answers/s, {alone / took:4.1f} times one at a time")
    started = time.perf_counter()
    for text, row in zip(answers[SIZES[0]], rows, strict=True):
        text_scores(text, row["output"])
    print(f"scores: {1000 * (time.perf_counter() - started) / count:.2f} ms an answer")


def _prompt(tokenizer: Any, question: str) -> list[int]:
    messages = [{"role": "user", "content": question}]
    ids: list[int] = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    return ids


if __name__ == "__main__":
    main()
