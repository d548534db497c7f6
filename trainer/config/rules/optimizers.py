"""Rules about the optimizer: one of them, what it needs, and which settings it does not read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainer.config.finding import Finding
from trainer.config.form import ADAPTER_METHODS
from trainer.config.hardware import Hardware
from trainer.config.optim_args import has_low_rank_arguments, unread_arguments
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error, exclusive, warning
from trainer.config.rules.sharding import is_zero3

_WHOLE_WEIGHTS = ("galore.use_galore", "apollo.use_apollo", "badam.use_badam")
_SETTING = re.compile(r"\w+\s*=\s*[^=\s]+")
_ALL = (*_WHOLE_WEIGHTS, "method.use_adam_mini", "method.use_muon")
# Those that do the arithmetic themselves; GaLore and BAdam hold the state of another one.
_REPLACING = ("apollo.use_apollo", "method.use_adam_mini", "method.use_muon")
_BASES = (
    "adamw_torch",
    "adamw_torch_fused",
    "adafactor",
    "adamw_8bit",
    "adamw_bnb_8bit",
    "paged_adamw_8bit",
    "paged_adamw_32bit",
)
_LIKE_ADAM = (
    "adamw_",
    "paged_adamw_",
    "stable_adamw",
    "schedule_free_adamw",
    "schedule_free_radam",
    "galore_adamw",
    "apollo_",
)
_ADAM = ("adam_beta1", "adam_beta2", "adam_epsilon")


def one_optimizer(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """GaLore, APOLLO, BAdam, Adam-mini, Muon and LoRA+ each are the optimizer."""
    yield from exclusive("optimizers_exclusive", recipe, ("lora.loraplus_lr_ratio", *_ALL))


def hardware_and_package(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What no installation of this machine could give, and what an optimizer loses."""
    optim = recipe.train.optim
    change: dict[str, object] = {"train.optim": "adamw_torch"}
    # All of bitsandbytes and torchao run on the CPU too.
    needed = {"adamw_torch_xla": "a TPU", "adamw_torch_npu_fused": "an Ascend NPU"}.get(optim)
    if needed:
        yield error("optimizer_without_hardware", "train.optim", change=change, optim=optim, needed=needed)
    if optim == "adamw_anyprecision":
        yield error("optimizer_without_package", "train.optim", change=change, optim=optim, package="torchdistx")
    if optim == "grokadamw":
        yield warning("optimizer_forgets", "train.optim", change=change, optim=optim)


def bases(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What `optim` and `optim_args` mean beside an optimizer that has a switch of its own."""
    optim = recipe.train.optim
    used = next((key for key in _ALL if recipe.value(key)), None)
    if used is None:
        if recipe.lora.loraplus_lr_ratio is not None and _name_is_ours(optim):
            fields = ("lora.loraplus_lr_ratio", "train.optim")
            yield error("optimizer_base", *fields, change={"train.optim": "adamw_torch"}, **_based("LoRA+", optim))
        return
    name = used.partition(".")[2]
    change: dict[str, object] = {"train.optim": "adamw_torch"}
    if used in _REPLACING and optim not in ("adamw_torch", "adamw_torch_fused"):
        yield warning("optimizer_replaced", "train.optim", used, change=change, used=name, optim=optim)
    elif used not in _REPLACING and optim not in _BASES:
        yield error("optimizer_base", "train.optim", used, change=change, **_based(name, optim))
    if recipe.train.optim_args:
        key = "train.optim_args"
        yield error("optimizer_args_not_read", key, used, change={key: None}, used=name)


def _based(used: str, optim: str) -> dict[str, object]:
    return {"used": used, "optim": optim, "allowed": ", ".join(_BASES)}


def _name_is_ours(optim: str) -> bool:
    return optim.startswith(("galore_", "apollo_")) or optim in ("lomo", "adalomo")


def targets(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """transformers' names of GaLore and APOLLO say nothing about the layers."""
    optim = recipe.train.optim
    if optim.startswith(("galore_", "apollo_")) and not recipe.trainer.get("optim_target_modules"):
        fields = ("train.optim", "trainer.optim_target_modules")
        change: dict[str, object] = {"trainer.optim_target_modules": "all-linear"}
        yield error("optimizer_needs_targets", *fields, change=change, optim=optim)


def whole_weights(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """GaLore, APOLLO and BAdam train all weights."""
    method = recipe.method.finetuning_type
    keys = [key for key in _WHOLE_WEIGHTS if recipe.value(key)]
    if recipe.train.optim.startswith(("galore_", "apollo_")):
        keys.append("train.optim")
    for key in keys:
        name = recipe.train.optim if key == "train.optim" else key.partition(".")[2]
        if method in ADAPTER_METHODS:
            fields = (key, "method.finetuning_type")
            change: dict[str, object] = {"method.finetuning_type": "full"}
            yield error("optimizer_needs_whole_weights", *fields, change=change, optimizer=name, method=method)
        if key != "badam.use_badam" and recipe.train.deepspeed is not None:
            off: dict[str, object] = {key: "adamw_torch" if key == "train.optim" else False}
            yield error("optimizer_and_deepspeed", key, "train.deepspeed", change=off, optimizer=name)


def updates_in_backward(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """What updates during the backward pass sees one micro-batch on one GPU, and no scaled loss."""
    optim = recipe.train.optim
    found: list[tuple[str, str, object]] = [
        (f"{table}.{table}_layerwise", f"{table}_layerwise", False)
        for table in ("galore", "apollo")
        if recipe.value(f"{table}.use_{table}") and recipe.value(f"{table}.{table}_layerwise")
    ]
    if optim.endswith("_layerwise") or optim in ("lomo", "adalomo"):
        found.append(("train.optim", f"optim = {optim}", "adamw_torch"))
    for key, name, otherwise in found:
        if hardware is not None and hardware.gpu_count > 1:
            gpus = hardware.gpu_count
            yield error("layerwise_and_several_gpus", key, change={key: otherwise}, layerwise=name, gpus=gpus)
        steps = recipe.train.gradient_accumulation_steps
        if steps > 1:
            fields = (key, "train.gradient_accumulation_steps")
            yield error("layerwise_and_accumulation", *fields, change={fields[1]: 1}, layerwise=name, steps=steps)
        if recipe.train.fp16:
            yield error("layerwise_and_fp16", key, "train.fp16", change={"train.fp16": False}, layerwise=name)


def badam_on_several_gpus(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """BAdam switches blocks, which only ZeRO-3 keeps in step on several GPUs."""
    if not recipe.badam.use_badam or hardware is None or hardware.gpu_count < 2:
        return
    mode = recipe.badam.badam_mode
    if mode == "ratio" or not is_zero3(recipe):
        change: dict[str, object] = {"badam.use_badam": False}
        fields = ("badam.use_badam", "badam.badam_mode")
        yield error("badam_and_several_gpus", *fields, change=change, mode=mode, gpus=hardware.gpu_count)


def settings_in_text(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """`optim_args` is a list of settings in a text."""
    text = recipe.train.optim_args
    if text and not all(_SETTING.fullmatch(part.strip()) for part in text.split(",")):
        yield error("optimizer_args_form", "train.optim_args", change={"train.optim_args": None}, value=text)
    elif has_low_rank_arguments(recipe.train.optim):
        for value, expected in unread_arguments(recipe.train.optim, text):
            change: dict[str, object] = {"train.optim_args": None}
            told = {"optim": recipe.train.optim, "value": value, "expected": expected}
            yield error("optimizer_args_value", "train.optim_args", change=change, **told)


def settings_of_adam(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Betas and epsilon are there for optimizers like Adam."""
    optim = recipe.train.optim
    if any(recipe.value(key) for key in _REPLACING) or optim.startswith(_LIKE_ADAM) or "ademamix" in optim:
        return
    read = _ADAM[:2] if "lion" in optim else ()
    defaults = {"adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8}
    for name in _ADAM:
        key = f"train.{name}"
        if name not in read and recipe.value(key) != defaults[name]:
            yield warning(
                "optimizer_does_not_read", key, "train.optim", change={key: defaults[name]}, name=name, optim=optim
            )


OPTIMIZER_RULES: tuple[Rule, ...] = (
    one_optimizer,
    hardware_and_package,
    bases,
    targets,
    whole_weights,
    updates_in_backward,
    badam_on_several_gpus,
    settings_in_text,
    settings_of_adam,
)
