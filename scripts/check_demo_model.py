"""Measures a demo model: exact answers to held-out questions, and whether a short LoRA run teaches it another name.

    python -m scripts.check_demo_model data/demo_model --tune

The tuning here is a bare loop over PEFT, so that it tells about the model and the rows alone. Not for tuning anything
to keep: that is what the program itself does.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from scripts.demo_dialogues import HELD_OUT_IDENTITY, Conversation, Message, Question, held_out_questions
from scripts.demo_text import TUNED, UNTUNED, Identity, maker_answer, name_answer
from scripts.demo_tokenizer import batch, encode
from scripts.train_demo_model import answer_loss

DATA_FOLDER = Path(__file__).resolve().parent.parent / "data"
MEASURING_SEED = 20_260


@dataclass(frozen=True)
class Tuning:
    """The settings of the short LoRA run; the shipped demo preset uses the same."""

    steps: int = 120
    batch_size: int = 8
    learning_rate: float = 3e-3
    warmup_steps: int = 5
    rank: int = 8
    seed: int = 42


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model in float32 and tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder, padding_side="left", local_files_only=True)


def answers(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[Message]],
    *,
    batch_size: int = 64,
) -> list[str]:
    """The greedy answer to each prompt, prompts of like length together."""
    texts = [tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True) for prompt in prompts]
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found = [""] * len(texts)
    for first in range(0, len(order), batch_size):
        places = order[first : first + batch_size]
        inputs = tokenizer(
            [texts[place] for place in places], return_tensors="pt", padding=True, add_special_tokens=False
        )
        inputs.pop("token_type_ids", None)
        with torch.no_grad():
            produced = model.generate(**inputs, max_new_tokens=40, do_sample=False)
        for place, row in zip(places, produced, strict=True):
            found[place] = tokenizer.decode(row[inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return found


def exact_share(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question], show: int
) -> float:
    """Share of exact answers; prints it by language and task, and `show` wrong answers."""
    given = answers(model, tokenizer, [question.messages for question in questions])
    right, asked = Counter[str](), Counter[str]()
    wrong: list[str] = []
    for question, answer in zip(questions, given, strict=True):
        for group in ("all", "Chinese" if question.chinese else "English", question.task):
            asked[group] += 1
            right[group] += answer == question.answer
        if answer != question.answer:
            wrong.append(f"  {question.question} -> {answer!r}, right: {question.answer!r}")
    print("exact:", ", ".join(f"{group} {right[group]}/{asked[group]}" for group in asked))
    print("\n".join(wrong[:show]))
    return right["all"] / asked["all"]


def bundled_rows() -> list[Conversation]:
    """The rows of data/identity.json and data/demo_replay.jsonl as conversations."""
    rows = json.loads((DATA_FOLDER / "identity.json").read_text(encoding="utf-8"))
    found = [
        Conversation(({"role": "user", "content": row["instruction"]}, {"role": "assistant", "content": row["output"]}))
        for row in rows
    ]
    replay = (DATA_FOLDER / "demo_replay.jsonl").read_text(encoding="utf-8")
    return found + [Conversation(tuple(json.loads(line)["messages"])) for line in replay.splitlines()]


def tune(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tuning: Tuning) -> PeftModel:
    """LoRA on all linear layers over the bundled rows; prints time and loss."""
    torch.manual_seed(tuning.seed)
    adapter = LoraConfig(r=tuning.rank, lora_alpha=2 * tuning.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    tuned = get_peft_model(model, adapter).train()
    rows, rng, started = encode(tokenizer, bundled_rows()), random.Random(tuning.seed), time.monotonic()
    optimizer = torch.optim.AdamW(
        [p for p in tuned.parameters() if p.requires_grad], tuning.learning_rate, weight_decay=0
    )
    queue: list[int] = []
    for step in range(tuning.steps):
        progress = max(0, step - tuning.warmup_steps) / (tuning.steps - tuning.warmup_steps)
        for group in optimizer.param_groups:
            scale = min(1.0, step / tuning.warmup_steps) * 0.5 * (1 + math.cos(math.pi * progress))
            group["lr"] = tuning.learning_rate * scale
        if len(queue) < tuning.batch_size:
            queue += rng.sample(range(len(rows)), len(rows))
        drawn, queue = queue[: tuning.batch_size], queue[tuning.batch_size :]
        loss = answer_loss(tuned.get_base_model(), *batch([rows[place] for place in drawn], tokenizer.pad_token_id))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0 or step == tuning.steps - 1:
            print(f"  step {step} loss {loss.item():.3f} {time.monotonic() - started:.1f} s", flush=True)
    return tuned.eval()


def identity_hits(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, identity: Identity) -> int:
    """How many of the held-out identity questions are answered exactly as `identity` would; prints the answers."""
    given = answers(model, tokenizer, [[{"role": "user", "content": asked}] for asked in HELD_OUT_IDENTITY])
    right = {answer(identity, chinese) for answer in (name_answer, maker_answer) for chinese in (False, True)}
    for asked, answer in zip(HELD_OUT_IDENTITY, given, strict=True):
        print(f"  {asked} -> {answer}")
    return sum(answer in right for answer in given)


def main() -> None:
    """Command line: a model folder, how many questions, whether to tune."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--show", type=int, default=12, help="how many wrong answers to print")
    parser.add_argument("--tune", action="store_true", help="also teach the bundled identity with LoRA")
    parser.add_argument("--learning-rate", type=float, default=Tuning.learning_rate)
    parser.add_argument("--steps", type=int, default=Tuning.steps)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load(chosen.model)
    questions = held_out_questions(chosen.questions, MEASURING_SEED)
    print(f"before: {exact_share(model, tokenizer, questions, chosen.show):.3f}")
    print(f"{UNTUNED.name}: {identity_hits(model, tokenizer, UNTUNED)}/{len(HELD_OUT_IDENTITY)}")
    if chosen.tune:
        tuned = tune(model, tokenizer, Tuning(steps=chosen.steps, learning_rate=chosen.learning_rate))
        print(f"{TUNED.name}: {identity_hits(tuned, tokenizer, TUNED)}/{len(HELD_OUT_IDENTITY)}")
        print(f"after: {exact_share(tuned, tokenizer, questions, chosen.show):.3f}")


if __name__ == "__main__":
    main()
