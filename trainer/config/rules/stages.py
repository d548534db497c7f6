"""Rules of single stages (references, preference losses) and of export. For rewards see `reinforcement`."""

from __future__ import annotations

import math
from collections.abc import Iterator

from trainer.config.finding import Finding
from trainer.config.form import IN_PREFERENCE, WITH_REFERENCE
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error, warning
from trainer.config.tables.preference import PAIR_LOSSES, SMOOTHED

_NEEDS_SMOOTHING = ("robust", "exo_pair")
_SORTS_BATCH = ("aot", "aot_unpaired")
_UNSTREAMED = ("ppo", "grpo", "rloo")


def preference_loss(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Settings that belong to one preference loss."""
    if recipe.method.stage != "dpo":
        return
    preference, losses = recipe.preference, recipe.preference.losses
    loss, key = " + ".join(losses), "preference.dpo_label_smoothing"
    if preference.dpo_label_smoothing > 0 and set(losses).isdisjoint(SMOOTHED):
        allowed = " or ".join(SMOOTHED)
        fields = (key, "preference.pref_loss")
        yield error("label_smoothing_without_its_loss", *fields, change={key: 0.0}, loss=loss, allowed=allowed)
    for one in losses:
        if preference.dpo_label_smoothing == 0 and one in _NEEDS_SMOOTHING:
            yield error("loss_needs_label_smoothing", key, "preference.pref_loss", change={key: 0.1}, loss=one)
    if preference.pref_bco_weight > 0 and (not preference.pairs_need_reference or "bco_pair" in losses):
        key = "preference.pref_bco_weight"
        yield error("bco_weight_in_loss", key, "preference.pref_loss", change={key: 0.0}, loss=loss)
    # The default says nothing about what the user wants.
    if preference.simpo_gamma != type(preference).model_fields["simpo_gamma"].default and "simpo" not in losses:
        key = "preference.simpo_gamma"
        change: dict[str, object] = {"preference.pref_loss": "simpo"}
        yield error("simpo_gamma_without_simpo", key, "preference.pref_loss", change=change, loss=loss)


def mixed_losses(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Losses that are added up: each one there is, once, with its weight."""
    if recipe.method.stage != "dpo":
        return
    preference, key = recipe.preference, "preference.pref_loss_mix"
    for place, name in enumerate(preference.pref_loss_mix):
        change: dict[str, object] = {key: [one for at, one in enumerate(preference.pref_loss_mix) if at != place]}
        if name not in PAIR_LOSSES:
            yield error("loss_unknown_in_mix", key, change=change, name=name, known=", ".join(PAIR_LOSSES))
        elif name in preference.losses[: place + 1]:
            yield error("loss_twice_in_mix", key, "preference.pref_loss", change=change, name=name)
    weights, count = preference.pref_loss_weights, len(preference.losses)
    key = "preference.pref_loss_weights"
    if weights and len(weights) != count:
        fields, counts = (key, "preference.pref_loss_mix"), {"weights": len(weights), "count": count}
        yield error("loss_weights_count", *fields, change={key: []}, **counts)
    elif weights and not (all(0 <= weight < math.inf for weight in weights) and any(weights)):
        yield error("loss_weights_value", key, change={key: []}, weights=", ".join(f"{each:g}" for each in weights))


def single_rows(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Losses that compare the rows of a batch need several of them."""
    stage, key = recipe.method.stage, "train.per_device_train_batch_size"
    if recipe.train.per_device_train_batch_size > 1:
        return
    if stage == "kto":
        yield warning("kto_of_single_rows", key, "method.stage", change={key: 2})
    for loss in recipe.preference.losses:
        if stage == "dpo" and loss in _SORTS_BATCH:
            yield error("loss_of_single_rows", key, "preference.pref_loss", change={key: 2}, loss=loss)


def kto_weights(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Without one of its two kinds of answers KTO has nothing to hold against the other."""
    if recipe.method.stage != "kto":
        return
    for name in ("kto_chosen_weight", "kto_rejected_weight"):
        key = f"preference.{name}"
        if recipe.value(key) == 0:
            yield warning("kto_weight_zero", key, change={key: 1.0}, name=name)


def streaming(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What needs its rows more than once, or by number, cannot have them from a stream."""
    stage, key = recipe.method.stage, "data.streaming"
    if recipe.data.streaming and stage in _UNSTREAMED:
        yield error("streaming_in_stage", key, "method.stage", change={key: False}, stage=stage)
    asked = "preference.precompute_ref_log_probs"
    if recipe.data.streaming and recipe.value(asked) and stage in IN_PREFERENCE.values:
        yield error("streaming_precompute", asked, key, change={asked: False})


def reference_model(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """A reference model where one is used, and its parts only with it."""
    preference = recipe.preference
    if recipe.method.stage not in WITH_REFERENCE.values:
        return
    parts = [
        name for name in ("ref_model_adapters", "ref_model_quantization_bit") if recipe.value(f"preference.{name}")
    ]
    if recipe.method.stage == "dpo" and not preference.pairs_need_reference:
        own = [name for name in ("ref_model", "precompute_ref_log_probs") if recipe.value(f"preference.{name}")]
        for name in [*own, *parts]:
            fields = (f"preference.{name}", "preference.pref_loss")
            change: dict[str, object] = {fields[0]: None}
            yield error("reference_not_needed", *fields, change=change, name=name, loss=" + ".join(preference.losses))
    elif not preference.ref_model:
        for name in parts:
            key = f"preference.{name}"
            yield error("reference_parts_without_model", key, "preference.ref_model", change={key: None}, name=name)


def export(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Quantized export needs texts to measure with, and merged weights."""
    key = "export.export_quantization_bit"
    if recipe.export.export_quantization_bit is None:
        return
    if not recipe.export.export_quantization_dataset:
        yield error("export_quantization_without_dataset", key, "export.export_quantization_dataset")
    if recipe.model.adapter_name_or_path:
        fields = (key, "model.adapter_name_or_path")
        yield error("export_adapter_and_quantization", *fields, change={key: None})


STAGE_RULES: tuple[Rule, ...] = (
    preference_loss,
    mixed_losses,
    single_rows,
    kto_weights,
    streaming,
    reference_model,
    export,
)
