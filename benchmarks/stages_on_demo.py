"""Every stage on the bundled demo model and its bundled set: what held-out rows say before, in the middle and after.

    python -m benchmarks.stages_on_demo [demo-dpo ...] [--pictures docs/images]

Each preset is run as it is shipped, in a process of its own. Printed are the evaluations, and for dpo and kto how many
greedy answers to new questions are friendly, as the better answers are, and how many are right.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from scripts.demo_preferences import CLOSING, CLOSING_ZH, judged_questions
from scripts.demo_text import exchange
from trainer.chat.loading import load_for_chat
from trainer.config import Hardware, load_preset, resolve
from trainer.data import prepare
from trainer.data.collate_answers import AnswerCollator, AnswerRows
from trainer.engine.generation import generate_batch, generation_settings
from trainer.paths import shipped_folder
from trainer.run import RunDirectory, create_run, latest_checkpoint, read_events
from trainer.run.loss_picture import curves_svg, run_curves
from trainer.stages.log_probabilities import answer_scores

SETS = ("demo_preference.jsonl", "demo_kto.jsonl")
OTHER_TASKS = ("repeat", "greeting", "wellbeing", "thanks", "identity")
QUESTIONS = 100
PRESETS = ("demo-pt", "demo-rm", "demo-dpo", "demo-kto")
FIGURES = {
    "demo-pt": ("eval_loss", "eval_perplexity"),
    "demo-rm": ("eval_loss", "eval_accuracy", "eval_margin"),
    "demo-dpo": ("eval_loss", "eval_rewards/accuracies", "eval_rewards/margins"),
    "demo-kto": ("eval_loss", "eval_rewards/chosen", "eval_rewards/rejected", "eval_kl"),
}


CURVES = {
    "demo-pt": ("loss", "eval_loss"),
    "demo-rm": ("accuracy", "eval_accuracy", "loss", "eval_loss"),
    "demo-dpo": ("rewards/chosen", "rewards/rejected", "eval_rewards/accuracies"),
    "demo-kto": ("rewards/chosen", "rewards/rejected", "eval_rewards/chosen", "eval_rewards/rejected"),
    "demo-ppo": ("reward", "kl"),
    "demo-grpo": ("reward", "groups_of_one_mind"),
}
"""What the pictures in docs/stages.md show."""


def train(preset: str, folder: Path, changes: Sequence[str] = ()) -> tuple[RunDirectory, float]:
    """Run a preset; the run and the CPU seconds of its process."""
    resolved = resolve(load_preset(preset, list(changes)).recipe, Hardware.detect())
    run = create_run(preset, resolved, name=None, folder=folder / preset, extra_identity={})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "trainer", "train", str(run.path)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{preset} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return run, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def draw(preset: str, run: RunDirectory, folder: Path | None) -> None:
    """The picture of a run, where pictures are wanted."""
    if folder is not None:
        picture = curves_svg(f"trimtab train {preset}", run_curves(run, CURVES[preset]))
        (folder / f"{preset}.svg").write_text(picture, encoding="utf-8")


def evaluations(run: RunDirectory) -> list[tuple[int, dict[str, float]]]:
    """Step and figures of each evaluation."""
    return [(each.event.step, each.event.values) for each in read_events(run) if each.event.kind == "evaluation"]


def manners(run: RunDirectory) -> str:
    """Greedy answers before and after: to new questions of the kinds that the sets ask, and to questions of other
    kinds, about which they say nothing; how many are friendly, and how many are right whether friendly or not.
    """
    recipe = resolve(load_preset("demo-dpo").recipe, Hardware.detect()).recipe
    checkpoint = latest_checkpoint(run.checkpoints_folder)
    assert checkpoint is not None
    loaded = load_for_chat(str(checkpoint.path))
    settings = generation_settings(loaded.model, loaded.tokenizer, recipe)
    told = []
    for kind, questions in (("of their kinds", new_questions()), ("of other kinds", other_questions())):
        prompts = [_prompt(loaded.tokenizer, question) for question, _ in questions]
        for moment, (model, context) in (("before", loaded.untuned()), ("after", loaded.tuned())):
            with context:
                found = generate_batch(model, settings, prompts)
            answers = [loaded.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in found]
            nice = sum(answer.endswith((CLOSING, CLOSING_ZH)) for answer in answers)
            right = sum(_is_right(answer, wanted) for answer, (_, wanted) in zip(answers, questions, strict=True))
            told.append(f"{len(questions)} questions {kind}, {moment}: {nice} friendly, {right} right")
    return "\n  ".join(told)


def separation(run: RunDirectory) -> str:
    """How often a good held-out answer has a higher reward than a bad one (0.5: by chance)."""
    recipe = resolve(load_preset("demo-kto").recipe, Hardware.detect()).recipe
    held, checkpoint = prepare(recipe).evaluation, latest_checkpoint(run.checkpoints_folder)
    assert held is not None
    assert checkpoint is not None
    loaded, rows = load_for_chat(str(checkpoint.path)), AnswerRows(held, judged=True)
    collate = AnswerCollator(loaded.tokenizer.pad_token_id, recipe.data.cutoff_len)
    batch = collate([rows[number] for number in range(len(rows))])
    sums = []
    for model, context in (loaded.tuned(), loaded.untuned()):
        with context, torch.no_grad():
            sums.append(answer_scores(model, batch).sums())
    rewards, good = sums[0] - sums[1], batch["good"]
    above = (rewards[good][:, None] > rewards[~good][None, :]).float().mean()
    return f"a good answer has a higher reward than a bad one in {above:.3f} of all {len(rows)} held-out rows' pairs"


def new_questions() -> list[tuple[str, str]]:
    """Questions that stand in neither set, with their answers."""
    lines = [line for name in SETS for line in (shipped_folder("data") / name).read_text(encoding="utf-8").splitlines()]
    asked = {json.loads(line)["instruction"] for line in lines}
    drawn = [one for one in judged_questions(4 * QUESTIONS, seed=25) if one.question not in asked]
    plain = [(one.question, one.better.removesuffix(CLOSING).removesuffix(CLOSING_ZH).strip()) for one in drawn]
    return plain[:QUESTIONS]


def other_questions() -> list[tuple[str, str]]:
    """Questions of the kinds that the sets leave out."""
    rng = random.Random(26)
    drawn = [exchange(rng, place % 2 == 1, OTHER_TASKS[place // 2 % len(OTHER_TASKS)]) for place in range(QUESTIONS)]
    return [(one.question, one.answer) for one in drawn]


def _prompt(tokenizer: Any, question: str) -> list[int]:
    messages = [{"role": "user", "content": question}]
    ids: list[int] = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    return ids


def _is_right(answer: str, wanted: str) -> bool:
    return answer in (wanted, f"{wanted} {CLOSING}", f"{wanted}{CLOSING_ZH}")


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--pictures", type=Path, help="draw the curves into this folder, such as docs/images")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for preset in asked.presets:
            run, seconds = train(preset, Path(folder))
            draw(preset, run, asked.pictures)
            told = evaluations(run)
            print(f"{preset}: {seconds:.0f} CPU seconds")
            for step, values in told:
                print(f"  step {step:3}: " + ", ".join(f"{name} {values[name]:.3f}" for name in FIGURES[preset]))
            if preset in ("demo-dpo", "demo-kto"):
                print(f"  {manners(run)}", flush=True)
            if preset == "demo-kto":
                print(f"  {separation(run)}")


if __name__ == "__main__":
    main()
