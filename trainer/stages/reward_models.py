"""Reward models that run here: one of its own, or an adapter on the base of the model that is trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, set_peft_model_state_dict
from peft.utils import load_peft_weights
from transformers import AutoTokenizer

from trainer.chat.loading import base_of, checkpoint_details
from trainer.chat.scoring import load_to_score
from trainer.config import Recipe
from trainer.data.model_folder import whole_model_folder
from trainer.data.model_kind import holds_reward_model
from trainer.errors import UserError
from trainer.model.adapters import MERGED, merged_adapters
from trainer.model.load import base_model_name

from .hidden_states import causal_model, last_hidden_state
from .rollouts import Answer, answer_batch

_ADAPTER = "reward"
_HEAD = "score.weight"


@dataclass(frozen=True)
class WholeRewardModel:
    """A model for classification with one label, frozen."""

    model: Any
    pad_token_id: int

    @staticmethod
    def load(recipe: Recipe, policy: Any, tokenizer: Any) -> WholeRewardModel:
        """`reward_model` with its adapters, in the bits that the recipe asks for.

        Raises:
            UserError: when it is no reward model, cannot be loaded, or reads other tokens than the policy.
        """
        name, table = str(recipe.ppo.reward_model), recipe.ppo
        bits = table.reward_model_quantization_bit
        settings = {} if bits is None else {"quantization_bit": bits}
        loaded = load_to_score(name, adapters=table.reward_model_adapters, settings=settings)
        head_home = table.reward_model_adapters[-1] if table.reward_model_adapters else name
        _check_tokens(head_home, tokenizer)
        model = loaded.model.eval().requires_grad_(False)
        # Weights of few bits lie where they were quantized.
        model = model if bits is not None else model.to(policy.device)
        # A model for classification finds the last token of a row by it.
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
        return WholeRewardModel(model, tokenizer.pad_token_id)

    @torch.no_grad()
    def scores(self, answers: Sequence[Answer], waiting: Callable[[], None]) -> torch.Tensor:
        """(answers,) float32; nothing is waited for."""
        batch = answer_batch(answers, self.pad_token_id)
        inputs = {name: batch[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
        return self.model(**inputs, use_cache=False).logits[:, 0].float().cpu()


class RewardAdapter:
    """A LoRA reward model on the base that the policy has too: it takes the place of the policy's adapter while it is
    asked, so that it costs the memory of an adapter and no more.
    """

    def __init__(self, policy: Any, head: torch.Tensor, pad_token_id: int) -> None:
        self._policy, self._head, self._pad_token_id = policy, head, pad_token_id

    @staticmethod
    def on(policy: Any, recipe: Recipe, tokenizer: Any) -> RewardAdapter:
        """The adapter of the recipe beside that of the policy.

        Raises:
            UserError: when it is none of a reward model, or not on the same base.
        """
        name = str(recipe.ppo.reward_model)
        folder = whole_model_folder(name)
        if not (folder / "adapter_config.json").is_file() or not holds_reward_model(folder):
            raise UserError(
                "this is no adapter of a reward model",
                field="reward_model",
                value=name,
                hint="Name a checkpoint of stage rm with LoRA, or set reward_model_type to what it is.",
            )
        _check_base(folder, recipe)
        _check_tokens(name, tokenizer)
        config = PeftConfig.from_pretrained(str(folder))
        # Its head is no module of a language model: it is applied here.
        config.modules_to_save, config.task_type, config.inference_mode = None, "CAUSAL_LM", True
        weights = load_peft_weights(str(folder), device=str(policy.device))
        heads = [key for key in weights if key.endswith(_HEAD)]
        head = weights.pop(heads[0])
        policy.add_adapter(_ADAPTER, config)
        set_peft_model_state_dict(policy, weights, adapter_name=_ADAPTER)
        _freeze(policy)
        return RewardAdapter(policy, head.to(policy.device, torch.float32), tokenizer.pad_token_id)

    @torch.no_grad()
    def scores(self, answers: Sequence[Answer], waiting: Callable[[], None]) -> torch.Tensor:
        """(answers,) float32; nothing is waited for."""
        batch = answer_batch(answers, self._pad_token_id)
        inputs = {name: batch[name].to(self._policy.device) for name in ("input_ids", "attention_mask")}
        with _in_place(self._policy), last_hidden_state(causal_model(self._policy)) as hidden:
            self._policy(**inputs, use_cache=False)
        last = inputs["attention_mask"].sum(1) - 1
        states = hidden[0][torch.arange(len(last), device=last.device), last]
        return (states.float() @ self._head.T)[:, 0].cpu()


@contextmanager
def _in_place(policy: Any) -> Iterator[None]:
    """The reward adapter in the place of the policy's."""
    own, was_training = policy.active_adapter, policy.training
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    policy.eval()
    policy.set_adapter(_ADAPTER, inference_mode=True)
    try:
        yield
    finally:
        policy.set_adapter(own)
        policy.train(was_training)
        for parameter in trained:
            parameter.requires_grad_(True)


def remove_saved_reward(folder: Path) -> None:
    """Take the reward adapter out of a checkpoint: PEFT saves all adapters that are on a model."""
    shutil.rmtree(folder / _ADAPTER, ignore_errors=True)


def _freeze(policy: Any) -> None:
    for name, parameter in policy.named_parameters():
        if f".{_ADAPTER}." in name:
            parameter.requires_grad_(False)


def _check_base(folder: Path, recipe: Recipe) -> None:
    """Raises: UserError when the adapter was trained on another model, or on merged adapters that are not here."""
    details = checkpoint_details(folder)
    before = [str(path) for path in details.get(MERGED, [])]
    if details and (base_of(folder) != base_model_name(recipe) or before != merged_adapters(recipe)):
        on = " + ".join([base_of(folder), *before])
        raise UserError(
            f"this reward adapter belongs on {on}, which is not what the policy's adapter is on",
            field="reward_model",
            value=str(folder),
            hint="Set reward_model_type = full: it is loaded with its own base then.",
        )


def _check_tokens(name: str, tokenizer: Any) -> None:
    """Raises: UserError when a reward model reads other tokens than the policy writes."""
    folder = whole_model_folder(name)
    if not (folder / "tokenizer.json").is_file():
        return
    if AutoTokenizer.from_pretrained(str(folder)).get_vocab() != tokenizer.get_vocab():
        raise UserError(
            "this reward model has another tokenizer than the model that is trained",
            field="reward_model",
            value=name,
            hint="Serve it by HTTP (reward_model_type = api), or choose one of the same family.",
        )
