"""Answers of the model that is trained to prompts of token ids, a batch at once. Not for the chat, nor for scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from trainer.config import Recipe


class _StopWhen(StoppingCriteria):
    """Ends the generation after the token after which `asked` says so."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        self._asked = asked

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._asked(), dtype=torch.bool, device=input_ids.device)


def generation_settings(
    model: Any, tokenizer: Any, recipe: Recipe, *, do_sample: bool | None = None, num_beams: int | None = None
) -> GenerationConfig:
    """`[generation]` as transformers takes it, with the model's own end-of-turn tokens; `do_sample` and `num_beams` go
    before its own.
    """
    table = recipe.generation
    samples = table.do_sample if do_sample is None else do_sample
    ends = model.generation_config.eos_token_id
    drawn = {"temperature": table.temperature, "top_p": table.top_p, "top_k": table.top_k} if samples else {}
    return GenerationConfig(
        do_sample=samples,
        **drawn,
        num_beams=num_beams or table.num_beams,
        repetition_penalty=table.repetition_penalty,
        length_penalty=table.length_penalty,
        max_new_tokens=table.max_new_tokens,
        use_cache=recipe.model.use_kv_cache,
        eos_token_id=tokenizer.eos_token_id if ends is None else ends,
        pad_token_id=tokenizer.pad_token_id,
    )


@torch.no_grad()
def generate_batch(
    model: Any,
    settings: GenerationConfig,
    prompts: Sequence[Sequence[int]],
    stop_when: Callable[[], bool] = lambda: False,
) -> list[torch.Tensor]:
    """The ids of one answer to each prompt, (tokens,) int64 on the CPU, up to and with its end-of-turn token.

    `model` is in evaluation mode. Prompts are filled up on the left; an answer ends where the model's positions do.
    """
    width = max(map(len, prompts))
    input_ids = torch.full((len(prompts), width), settings.pad_token_id)
    attention_mask = torch.zeros_like(input_ids)
    for row, prompt in enumerate(prompts):
        input_ids[row, width - len(prompt) :] = torch.as_tensor(prompt)
        attention_mask[row, width - len(prompt) :] = 1
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    within = copy(settings)
    if positions is not None:
        within.max_new_tokens = max(1, min(settings.max_new_tokens, positions - width))
    output = model.generate(
        input_ids=input_ids.to(model.device),
        attention_mask=attention_mask.to(model.device),
        generation_config=within,
        stopping_criteria=StoppingCriteriaList([_StopWhen(stop_when)]),
    )
    ends = torch.as_tensor(settings.eos_token_id).reshape(-1)
    return [_up_to_end(answer, ends) for answer in output[:, width:].cpu()]


def _up_to_end(answer: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Without what fills a shorter row of a batch up behind its end."""
    at = torch.isin(answer, ends).nonzero()
    return answer[: int(at[0]) + 1] if len(at) else answer
