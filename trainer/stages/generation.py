"""Answers of the model that is trained, drawn for the prompts of a batch. Not for rewards, not for the chat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from trainer.config import Recipe
from trainer.engine.generation import generate_batch, generation_settings
from trainer.errors import UserError

from .rollouts import Answer


def drawing_settings(model: Any, tokenizer: Any, recipe: Recipe) -> GenerationConfig:
    """How answers are drawn: by chance, without beams, as else `[generation]` says.

    Raises:
        UserError: when the longest prompt and answer are together more than the model reads.
    """
    table = recipe.generation
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if longest is not None and recipe.data.cutoff_len + table.max_new_tokens > longest:
        raise UserError(
            f"prompts of cutoff_len = {recipe.data.cutoff_len} and answers of max_new_tokens = {table.max_new_tokens} "
            f"tokens are together more than the {longest} that this model reads",
            field="max_new_tokens",
            value=table.max_new_tokens,
            hint="Lower one of them.",
        )
    return generation_settings(model, tokenizer, recipe, do_sample=True, num_beams=1)


def evaluation_settings(model: Any, tokenizer: Any, recipe: Recipe) -> GenerationConfig:
    """How answers to held-out prompts are written: drawn as in training or, with `eval_greedy`, the likeliest ones."""
    return generation_settings(model, tokenizer, recipe, do_sample=not recipe.reward.eval_greedy, num_beams=1)


def draw_answers(
    model: Any,
    tokenizer: Any,
    settings: GenerationConfig,
    prompts: Sequence[Sequence[int]],
    expected: Sequence[str],
    stop_when: Callable[[], bool],
    *,
    skip_special_tokens: bool,
) -> list[Answer]:
    """One answer to each prompt, all in one batch; `model` is in evaluation mode. They end early when `stop_when` says
    so. Their text, which is rewarded, is without special tokens where these are to be skipped.
    """
    drawn = generate_batch(model, settings, prompts, stop_when)
    ends = torch.tensor(settings.eos_token_id).reshape(-1)
    answers = []
    for prompt, ids, wanted in zip(prompts, drawn, expected, strict=True):
        answers.append(
            Answer(
                prompt_ids=torch.tensor(list(prompt)),
                ids=ids,
                has_end=bool(torch.isin(ids[-1], ends)),
                prompt=tokenizer.decode(list(prompt)),
                text=tokenizer.decode(ids, skip_special_tokens=skip_special_tokens).strip(),
                expected=wanted,
            )
        )
    return answers
