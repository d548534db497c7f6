"""Answers of the model that is trained, drawn for the prompts of a batch. Not for rewards, not for the chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from trainer.config import Recipe
from trainer.errors import UserError

from .rollouts import Answer


def generation_settings(model: Any, tokenizer: Any, recipe: Recipe) -> GenerationConfig:
    """How answers are drawn: `[generation]`, and the model's own end-of-turn tokens.

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
    ends = model.generation_config.eos_token_id
    return GenerationConfig(
        do_sample=True,
        temperature=table.temperature,
        top_p=table.top_p,
        top_k=table.top_k,
        repetition_penalty=table.repetition_penalty,
        max_new_tokens=table.max_new_tokens,
        use_cache=recipe.model.use_kv_cache,
        eos_token_id=tokenizer.eos_token_id if ends is None else ends,
        pad_token_id=tokenizer.pad_token_id,
    )


@torch.no_grad()
def draw_answers(
    model: Any, tokenizer: Any, settings: GenerationConfig, prompts: Sequence[Sequence[int]], expected: Sequence[str]
) -> list[Answer]:
    """One answer to each prompt, all in one batch; `model` is in evaluation mode."""
    width = max(map(len, prompts))
    input_ids = torch.full((len(prompts), width), tokenizer.pad_token_id)
    attention_mask = torch.zeros_like(input_ids)
    for row, prompt in enumerate(prompts):
        input_ids[row, width - len(prompt) :] = torch.tensor(list(prompt))
        attention_mask[row, width - len(prompt) :] = 1
    drawn = model.generate(
        input_ids=input_ids.to(model.device),
        attention_mask=attention_mask.to(model.device),
        generation_config=settings,
    )[:, width:].cpu()
    ends = torch.isin(drawn, torch.tensor(settings.eos_token_id).reshape(-1))
    answers = []
    for row, prompt in enumerate(prompts):
        has_end = bool(ends[row].any())
        # After its end the shorter rows of a batch are filled up.
        ids = drawn[row, : int(ends[row].int().argmax()) + 1] if has_end else drawn[row]
        answers.append(
            Answer(
                prompt_ids=torch.tensor(list(prompt)),
                ids=ids,
                has_end=has_end,
                prompt=tokenizer.decode(list(prompt)),
                text=tokenizer.decode(ids, skip_special_tokens=True).strip(),
                expected=expected[row],
            )
        )
    return answers
