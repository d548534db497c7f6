"""Trains the bundled demo model from scratch on generated text, on one CPU thread in about half an hour.

    python -m scripts.train_demo_model --output build/demo_model

The folder gets the model every few minutes, complete each time, so that one can look at it before the end. Not for
measuring (check_demo_model.py), nor for fine-tuning: that is what the program itself does.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from scripts.demo_dialogues import conversations
from scripts.demo_tokenizer import END, IGNORED, Encoded, batch, encode, render, train_tokenizer


@dataclass(frozen=True)
class Settings:
    """Everything that decides how the model comes out."""

    seed: int = 0
    steps: int = 1800
    batch_size: int = 48
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    weight_decay: float = 0.05
    conversations: int = 60_000
    vocabulary: int = 1280
    hidden: int = 192
    layers: int = 4
    heads: int = 6
    key_value_heads: int = 3
    head_width: int = 32
    inner: int = 512
    positions: int = 1024


def build_model(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """The untrained model, drawn from the seed."""
    torch.manual_seed(settings.seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden,
        intermediate_size=settings.inner,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.key_value_heads,
        head_dim=settings.head_width,
        max_position_embeddings=settings.positions,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.convert_tokens_to_ids(END), pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    return model


def answer_loss(model: torch.nn.Module, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean loss of the assistant's words; the output layer works only where there is one to be said."""
    hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    learnt = wanted != IGNORED
    return cross_entropy(model.lm_head(hidden[learnt]), wanted[learnt])


def draw_batch(rng: random.Random, rows: list[Encoded], size: int) -> list[Encoded]:
    """Rows of like length: one of eight slices of a sorted draw, so that little is padding."""
    drawn = sorted((rng.choice(rows) for _ in range(size * 8)), key=lambda row: len(row.tokens))
    place = rng.randrange(8) * size
    return drawn[place : place + size]


def save(folder: Path, model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, report: dict[str, object]) -> None:
    """Write the whole model in bfloat16 beside `folder`, then put it in its place."""
    staging = folder.with_name(folder.name + ".staging")
    copy = Qwen3ForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.generation_config = model.generation_config
    copy.to(torch.bfloat16).save_pretrained(staging)
    tokenizer.save_pretrained(staging)
    (staging / "training.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for file in staging.iterdir():
        file.chmod(0o644)
        file.replace(folder / file.name)
    staging.rmdir()


def train(settings: Settings, output: Path, save_minutes: float) -> None:
    """Train and save; prints one line every 50 steps."""
    source = list(conversations(settings.conversations, settings.seed))
    template = train_tokenizer([], 300, settings.positions)
    texts = [render(template, conversation) for conversation in source[:20_000]]
    marks = (END, "<|im_start|>")
    pieces = (piece for text in texts for piece in text.replace(marks[0], marks[1]).split(marks[1]))
    tokenizer = train_tokenizer(pieces, settings.vocabulary, settings.positions)
    rows = encode(tokenizer, source)
    model = build_model(settings, tokenizer)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    mean = sum(len(row.tokens) for row in rows) / len(rows)
    print(f"{parameters:,} parameters, {len(tokenizer)} pieces, {mean:.1f} tokens a conversation", flush=True)
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, (0.9, 0.98), weight_decay=settings.weight_decay
    )
    rng, started, saved, loss_mean = random.Random(settings.seed), time.monotonic(), time.monotonic(), 0.0
    model.train()
    for step in range(1, settings.steps + 1):
        decay = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(1.0, step / settings.warmup_steps) * decay
        loss = answer_loss(model, *batch(draw_batch(rng, rows, settings.batch_size), tokenizer.pad_token_id))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss_mean = loss.item() if step == 1 else 0.97 * loss_mean + 0.03 * loss.item()
        seconds = time.monotonic() - started
        if step % 50 == 0:
            print(f"step {step} loss {loss_mean:.4f} {seconds:.0f} s", flush=True)
        if time.monotonic() - saved > save_minutes * 60 or step == settings.steps:
            report = {**asdict(settings), "parameters": parameters, "step": step, "loss": round(loss_mean, 4)}
            save(output, model, tokenizer, {**report, "seconds": round(seconds), "torch": torch.__version__})
            saved = time.monotonic()


def main() -> None:
    """Command line: where the model goes, how many steps, which seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--vocabulary", type=int, default=Settings.vocabulary)
    parser.add_argument("--save-minutes", type=float, default=3.0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(seed=chosen.seed, steps=chosen.steps, vocabulary=chosen.vocabulary)
    train(settings, chosen.output, chosen.save_minutes)


if __name__ == "__main__":
    main()
