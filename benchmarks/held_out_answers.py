"""What runs of the demo presets do on rows and questions that they have not seen. Used by stages_on_demo.py."""

from __future__ import annotations

import json
import random
from typing import Any

import torch

from scripts.demo_preferences import CLOSING, CLOSING_ZH, REFUSALS, REFUSALS_ZH, judged_questions
from scripts.demo_text import exchange
from trainer.chat.loading import load_for_chat
from trainer.chat.scoring import load_to_score
from trainer.config import Hardware, load_preset, resolve
from trainer.data import prepare
from trainer.data.collate_answers import AnswerCollator, AnswerRows
from trainer.engine.generation import generate_batch, generation_settings
from trainer.paths import shipped_folder
from trainer.run import RunDirectory, latest_checkpoint
from trainer.stages.log_probabilities import answer_scores

SETS = ("demo_preference.jsonl", "demo_kto.jsonl")
OTHER_TASKS = ("repeat", "greeting", "wellbeing", "thanks", "identity")
QUESTIONS = 100


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


def by_flaw(run: RunDirectory, preset: str) -> str:
    """The share of held-out pairs in the right order, by what is wrong with the worse answer."""
    rows, batch, path = _held_out(run, preset)
    if preset == "demo-rm":
        model = load_to_score(path).model
        with torch.no_grad():
            output = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        better, worse = output.logits[:, 0].chunk(2)
    else:
        better, worse = _log_ratios(path, batch).chunk(2)
    tokenizer = load_for_chat("shipped:demo_model").tokenizer
    found: dict[str, list[bool]] = {}
    for row, right in zip(rows, (better > worse).tolist(), strict=True):
        chosen, rejected = (
            tokenizer.decode(row[name], skip_special_tokens=True).strip() for name in ("first", "second")
        )
        found.setdefault(_flaw(chosen, rejected), []).append(right)
    return "; ".join(f"{flaw} {sum(right)} of {len(right)}" for flaw, right in sorted(found.items()))


def _flaw(chosen: str, rejected: str) -> str:
    plain = chosen.removesuffix(CLOSING).removesuffix(CLOSING_ZH).strip()
    if rejected in (*REFUSALS, *REFUSALS_ZH):
        return "refusal"
    if rejected == plain:
        return "curt"
    return "talking on" if rejected.startswith(plain) else "wrong"


def separation(run: RunDirectory) -> str:
    """How often a good held-out answer has a higher reward than a bad one (0.5: by chance)."""
    rows, batch, path = _held_out(run, "demo-kto")
    rewards, good = _log_ratios(path, batch), batch["good"]
    above = (rewards[good][:, None] > rewards[~good][None, :]).float().mean()
    return f"of {len(rows)} held-out answers a good one has a higher reward than a bad one in {above:.3f} of all cases"


def _held_out(run: RunDirectory, preset: str) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor], str]:
    """The rows that the preset holds back, all in one batch, and the newest checkpoint of the run."""
    recipe = resolve(load_preset(preset).recipe, Hardware.detect()).recipe
    held, checkpoint = prepare(recipe).evaluation, latest_checkpoint(run.checkpoints_folder)
    assert held is not None
    assert checkpoint is not None
    kept = AnswerRows(held, judged=preset == "demo-kto")
    rows = [kept[number] for number in range(len(kept))]
    padding = load_for_chat("shipped:demo_model").tokenizer.pad_token_id
    return rows, AnswerCollator(padding, recipe.data.cutoff_len)(rows), str(checkpoint.path)


def _log_ratios(path: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """(answers,): log-probabilities under the tuned model less those under the untuned one."""
    loaded = load_for_chat(path)
    sums = []
    for way in (loaded.tuned, loaded.untuned):
        model, context = way()
        with context, torch.no_grad():
            sums.append(answer_scores(model, batch).sums())
    return sums[0] - sums[1]


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
