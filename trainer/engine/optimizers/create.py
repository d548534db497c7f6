"""The optimizer that a recipe asks for, where it is one of ours or needs groups of its own, for any stage's trainer.

Optimizers of transformers' `optim` with its usual groups are not made here.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from peft.optimizers import create_loraplus_optimizer
from transformers import Trainer

from trainer.config import Recipe
from trainer.config.optim_args import low_rank_arguments
from trainer.errors import UserError
from trainer.run.messages import Say, words

from .adam_mini import AdamMini, block_count, head_size_of
from .apollo import Apollo, ApolloSettings
from .badam import BlockOptimizer, Weight
from .base import Group, MakeBase, WeightByWeight
from .galore import Galore, GaloreSettings
from .lomo import AdaLomo, Lomo
from .muon import MuonWithAdamW
from .targets import grouped, linear_weights, trained_weights
from .turns import LayerTurns, ShareTurns, Turns, layers_of


def is_made_here(optim: str) -> bool:
    """Whether one of transformers' names stands for an optimizer of ours."""
    return optim.startswith(("galore_", "apollo_")) or optim in ("lomo", "adalomo")


# What the package of BAdam's authors does, and with it LLaMA-Factory, which lets no one change it.
_STEPS_OF_A_SHARE = 100


@dataclass(frozen=True)
class _Asked:
    """What the makers of optimizers look at."""

    model: Any
    arguments: Any
    recipe: Recipe
    decaying: Collection[str]
    say: Say

    @property
    def adam(self) -> dict[str, Any]:
        arguments = self.arguments
        betas = (float(arguments.adam_beta1), float(arguments.adam_beta2))
        return {"rate": float(arguments.learning_rate), "betas": betas, "eps": float(arguments.adam_epsilon)}

    def low_rank_groups(self, targets: list[str] | str, field: str) -> list[Group]:
        """Groups of projected and other weights."""
        weights = trained_weights(self.model)
        names = linear_weights(self.model, targets, field)
        decay = float(self.arguments.weight_decay)
        inside = {name: weight for name, weight in weights.items() if name in names}
        outside = {name: weight for name, weight in weights.items() if name not in names}
        return [
            *grouped(inside, self.decaying, decay, projected=True),
            *grouped(outside, self.decaying, decay, projected=False),
        ]

    def layer_by_layer(self, optimizer: WeightByWeight) -> None:
        """Let the optimizer update in the backward pass, and say what this means."""
        arguments = self.arguments
        optimizer.update_in_backward(lambda: float(arguments.max_grad_norm))
        self.say("info", words("run_updates_in_backward"))


def own_optimizer(
    model: Any, arguments: Any, recipe: Recipe, decaying: Collection[str], say: Say
) -> torch.optim.Optimizer | None:
    """The optimizer, or None where transformers makes it; `decaying`: names of the weights that decay.

    Raises:
        UserError: when names of layers do not fit the model.
    """
    asked = _Asked(model, arguments, recipe, decaying, say)
    name = str(recipe.train.optim)
    if recipe.galore.use_galore:
        return _galore(asked)
    if recipe.apollo.use_apollo:
        return _apollo(asked)
    if recipe.badam.use_badam:
        return _badam(asked)
    if recipe.method.use_adam_mini:
        return _adam_mini(asked)
    if recipe.method.use_muon:
        return _muon(asked)
    if name.startswith("galore_"):
        return _galore_by_name(asked)
    if name.startswith("apollo_"):
        return _apollo_by_name(asked)
    if name in ("lomo", "adalomo"):
        return _lomo(asked)
    if recipe.lora.loraplus_lr_ratio is not None:
        return _loraplus(asked)
    return None


def base_maker(arguments: Any, optim: str) -> MakeBase:
    """Makes transformers' optimizer of this name for groups of our own."""
    chosen = copy.copy(arguments)
    chosen.optim = type(arguments.optim)(optim)
    chosen.optim_args = None
    kind, settings = Trainer.get_optimizer_cls_and_kwargs(chosen)
    return lambda groups: kind(groups, **settings)


def _galore(asked: _Asked) -> torch.optim.Optimizer:
    table = asked.recipe.galore
    settings = GaloreSettings(
        table.galore_rank, table.galore_update_interval, table.galore_scale, table.galore_proj_type
    )
    groups = asked.low_rank_groups(list(table.galore_target), "galore_target")
    make_base = base_maker(asked.arguments, str(asked.recipe.train.optim))
    optimizer = Galore(groups, make_base, settings, asked.adam["rate"])
    if table.galore_layerwise:
        asked.layer_by_layer(optimizer)
    return optimizer


def _galore_by_name(asked: _Asked) -> torch.optim.Optimizer:
    """transformers' names, with its defaults."""
    name = str(asked.recipe.train.optim)
    given = low_rank_arguments(name, asked.recipe.train.optim_args)
    settings = GaloreSettings(given.rank, given.update_proj_gap, given.scale, given.proj_type)
    base = {"galore_adamw": "adamw_torch", "galore_adamw_8bit": "adamw_8bit", "galore_adafactor": "adafactor"}
    groups = asked.low_rank_groups(asked.arguments.optim_target_modules, "optim_target_modules")
    make_base = base_maker(asked.arguments, base[name.removesuffix("_layerwise")])
    optimizer = Galore(groups, make_base, settings, asked.adam["rate"])
    if name.endswith("_layerwise"):
        asked.layer_by_layer(optimizer)
    return optimizer


def _apollo(asked: _Asked) -> torch.optim.Optimizer:
    table = asked.recipe.apollo
    settings = ApolloSettings(
        rank=table.apollo_rank,
        interval=table.apollo_update_interval,
        scale=table.apollo_scale,
        kind=table.apollo_proj_type,
        random=table.apollo_proj == "random",
        by_channel=table.apollo_scale_type == "channel",
        scale_first=table.apollo_scale_front,
        seed=asked.recipe.train.seed,
    )
    groups = asked.low_rank_groups(list(table.apollo_target), "apollo_target")
    optimizer = Apollo(groups, settings, **asked.adam)
    if table.apollo_layerwise:
        asked.layer_by_layer(optimizer)
    return optimizer


def _apollo_by_name(asked: _Asked) -> torch.optim.Optimizer:
    """transformers' names, with its defaults."""
    name = str(asked.recipe.train.optim)
    given = low_rank_arguments(name, asked.recipe.train.optim_args)
    settings = ApolloSettings(
        rank=given.rank,
        interval=given.update_proj_gap,
        scale=given.scale,
        kind=given.proj_type,
        random=given.random,
        by_channel=given.by_channel,
        scale_first=False,
        seed=asked.recipe.train.seed,
    )
    groups = asked.low_rank_groups(asked.arguments.optim_target_modules, "optim_target_modules")
    optimizer = Apollo(groups, settings, **asked.adam)
    if name.endswith("_layerwise"):
        asked.layer_by_layer(optimizer)
    return optimizer


def _badam(asked: _Asked) -> torch.optim.Optimizer:
    table, seed = asked.recipe.badam, asked.recipe.train.seed
    weights = trained_weights(asked.model)
    names = list(weights)
    turns: Turns
    if table.badam_mode == "layer":
        layers = layers_of(names)
        if not layers:
            raise UserError("this model has no layers that are trained and could take turns", field="use_badam")
        if table.badam_start_block is not None and table.badam_start_block >= len(layers):
            raise UserError(
                f"expected a number from 0 to {len(layers) - 1}",
                field="badam_start_block",
                value=table.badam_start_block,
            )
        turns = LayerTurns(layers, table.badam_switch_mode, table.badam_start_block, table.badam_switch_interval, seed)
        asked.say("info", words("run_badam_layers", layers=len(layers), steps=turns.interval))
    else:
        # Tokens that a batch does not hold would waste the share of embedding and output layer.
        ends = {id(end.weight) for end in (asked.model.get_input_embeddings(), asked.model.get_output_embeddings())}
        chosen = {number: weight for number, weight in enumerate(weights.values()) if id(weight) not in ends}
        sizes = {number: weight.numel() for number, weight in chosen.items()}
        devices = {number: weight.device for number, weight in chosen.items()}
        scattered = table.badam_mask_mode == "scatter"
        turns = ShareTurns(
            sizes,
            devices,
            ratio=table.badam_update_ratio,
            scattered=scattered,
            interval=_STEPS_OF_A_SHARE,
            seed=seed,
        )
        percent = f"{100 * table.badam_update_ratio:.4g}"
        asked.say("info", words("run_badam_shares", percent=percent, steps=_STEPS_OF_A_SHARE))
    return BlockOptimizer(
        [Weight(name, weight, name in asked.decaying) for name, weight in weights.items()],
        turns,
        base_maker(asked.arguments, str(asked.recipe.train.optim)),
        rate=float(asked.arguments.learning_rate),
        decay=float(asked.arguments.weight_decay),
        verbose=table.badam_verbose,
    )


def _adam_mini(asked: _Asked) -> torch.optim.Optimizer:
    weights = trained_weights(asked.model)
    head = head_size_of(asked.model.config)
    names = {weight: name for name, weight in weights.items()}
    groups = grouped(weights, asked.decaying, float(asked.arguments.weight_decay))
    for group in groups:
        group["blocks"] = [block_count(names[weight], weight, head) for weight in group["params"]]
    return AdamMini(groups, **asked.adam)


def _muon(asked: _Asked) -> torch.optim.Optimizer:
    weights = trained_weights(asked.model)
    matrices = {
        name: weight
        for name, weight in weights.items()
        if weight.ndim == 2 and "embed" not in name and "lm_head" not in name
    }
    others = {name: weight for name, weight in weights.items() if name not in matrices}
    decay = float(asked.arguments.weight_decay)
    groups = [
        *grouped(matrices, asked.decaying, decay, muon=True),
        *grouped(others, asked.decaying, decay, muon=False),
    ]
    count = sum(weight.numel() for weight in matrices.values())
    rest = sum(weight.numel() for weight in others.values())
    asked.say("info", words("run_muon_parts", matrices=f"{count:,}", others=f"{rest:,}"))
    return MuonWithAdamW(groups, **asked.adam)


def _lomo(asked: _Asked) -> torch.optim.Optimizer:
    groups = grouped(trained_weights(asked.model), asked.decaying, float(asked.arguments.weight_decay))
    rate = float(asked.arguments.learning_rate)
    optimizer = AdaLomo(groups, rate) if asked.recipe.train.optim == "adalomo" else Lomo(groups, rate)
    asked.layer_by_layer(optimizer)
    return optimizer


def _loraplus(asked: _Asked) -> torch.optim.Optimizer:
    lora, arguments = asked.recipe.lora, asked.arguments
    kind, settings = Trainer.get_optimizer_cls_and_kwargs(arguments, asked.model)
    settings.pop("lr")
    assert lora.loraplus_lr_ratio is not None
    optimizer = create_loraplus_optimizer(
        asked.model,
        kind,
        lr=float(arguments.learning_rate),
        loraplus_lr_ratio=lora.loraplus_lr_ratio,
        loraplus_lr_embedding=lora.loraplus_lr_embedding,
        loraplus_weight_decay=float(arguments.weight_decay),
        **settings,
    )
    # PEFT's order: A, embeddings, B, and what of B does not decay.
    for group, decays in zip(optimizer.param_groups, (True, True, True, False), strict=True):
        group["decays"] = decays
    rates = {
        "rate": f"{arguments.learning_rate:.4g}",
        "other": f"{arguments.learning_rate * lora.loraplus_lr_ratio:.4g}",
    }
    asked.say("info", words("run_loraplus_rates", **rates))
    return optimizer
