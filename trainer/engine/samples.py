"""Answers of the live weights to given prompts, written to the run as they are made. Not the chat: see trainer/chat."""

from __future__ import annotations

import time
from typing import Any

import torch

from trainer.run import SampleEvent

from .session import RunSession

_NEW_TOKENS = 128


def sample_answers(trainer: Any, session: RunSession, prompts: list[str]) -> None:
    """Answer each prompt greedily with the weights as they are now; training goes on exactly as if nothing had been.

    Random state and train mode are put back, so that sampling never changes a run.

    Raises: ValueError for a model that writes nothing.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not model.can_generate():
        raise ValueError("a reward model writes no answers")
    tokenizer = trainer.processing_class
    was_training = model.training
    model.eval()
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        # An adapter's base generates by itself, outside of what the trainer wraps around its forward pass.
        with torch.random.fork_rng(devices=devices), torch.no_grad(), trainer.accelerator.autocast():
            for prompt in prompts:
                started = time.perf_counter()
                inputs = _inputs(tokenizer, prompt, as_text=trainer.recipe.method.stage == "pt").to(model.device)
                output = model.generate(
                    **inputs,
                    max_new_tokens=_NEW_TOKENS,
                    do_sample=False,
                    use_cache=trainer.recipe.model.use_kv_cache,
                    pad_token_id=tokenizer.pad_token_id,
                )
                answer = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
                session.events.write(
                    SampleEvent(
                        step=int(trainer.state.global_step),
                        prompt=prompt,
                        text=answer,
                        seconds=time.perf_counter() - started,
                    )
                )
    finally:
        model.train(was_training)


def _inputs(tokenizer: Any, prompt: str, *, as_text: bool) -> Any:
    """The tokens of a prompt: a turn of a dialogue or, where texts are learned, text to go on with."""
    if as_text:
        return tokenizer(prompt, return_tensors="pt")
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
