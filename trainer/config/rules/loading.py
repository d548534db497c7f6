"""Rules about how the base model is loaded: attention, kernels, what transformers 5 has no more. Few bits: `method`."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.config.finding import Finding
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error, found

# What the parameter is set to, the package that it needs then, and the module that shows that it is there.
_PACKAGES: tuple[tuple[str, object, str, str], ...] = (
    ("model.flash_attn", "fa2", "flash-attn", "flash_attn"),
    ("model.flash_attn", "fa3", "flash-attn-3", "flash_attn_interface"),
    ("model.enable_liger_kernel", True, "liger-kernel", "liger_kernel"),
    ("quantization.quantization_method", "bnb", "bitsandbytes", "bitsandbytes"),
    ("quantization.quantization_method", "hqq", "hqq", "hqq"),
)


def attention(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """FlashAttention needs a GPU and 16 bits; the shifted attention is an attention of its own."""
    key, asked = "model.flash_attn", recipe.model.flash_attn
    automatic: dict[str, object] = {key: "auto"}
    if asked in ("fa2", "fa3"):
        if hardware is not None and not hardware.cuda:
            yield error("flash_attention_without_gpu", key, change=automatic, attention=asked)
        half = recipe.train.bf16 or recipe.train.fp16 or recipe.method.pure_bf16
        # Left open, bf16 is turned on where the GPU has it.
        if recipe.train.bf16 is False and not half:
            yield error("flash_attention_in_float32", key, "train.bf16", change=automatic, attention=asked)
    if recipe.model.shift_attn and asked not in ("auto", "sdpa"):
        yield error("shift_attn_and_flash_attn", "model.shift_attn", key, change=automatic, attention=asked)


def kernels(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """Kernels of other packages."""
    model = recipe.model
    if model.enable_liger_kernel and hardware is not None and not hardware.cuda:
        key = "model.enable_liger_kernel"
        yield error("liger_without_gpu", key, change={key: False})
    if model.use_unsloth_gc and (model.disable_gradient_checkpointing or recipe.train.gradient_checkpointing is False):
        off = "model.disable_gradient_checkpointing" if model.disable_gradient_checkpointing else None
        fields = ("model.use_unsloth_gc", off or "train.gradient_checkpointing")
        yield error("offload_without_checkpointing", *fields, change={fields[0]: False})


def missing_packages(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """Optional packages that the recipe needs and this machine does not have."""
    if hardware is None or hardware.packages is None:
        return
    for key, value, package, module in _PACKAGES:
        asked = recipe.value(key) == value
        if key.startswith("quantization."):
            asked = asked and recipe.quantization.quantization_bit is not None
        if asked and module not in hardware.packages:
            name = key.partition(".")[2]
            shown = str(value).lower() if isinstance(value, bool) else value
            # No registry has FlashAttention 3, and whoever takes its name there may not be its author.
            from_source = package == "flash-attn-3"
            how = "build it from the folder hopper of its repository" if from_source else f"pip install {package}"
            yield error("package_missing", key, name=name, value=shown, package=package, how=how)


def what_is_gone(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What nothing that trimtab stands on can do any more."""
    if not recipe.model.low_cpu_mem_usage:
        key = "model.low_cpu_mem_usage"
        yield error("low_cpu_mem_usage_always", key, change={key: True})
    key = "quantization.quantization_method"
    if recipe.quantization.quantization_method == "eetq":
        yield error("eetq_is_downloaded_code", key, change={key: "bnb"})


def random_start(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Random weights have to be trained, all of them."""
    if not recipe.model.train_from_scratch:
        return
    key, method = "model.train_from_scratch", recipe.method.finetuning_type
    if method != "full":
        change: dict[str, object] = {"method.finetuning_type": "full"}
        yield error("from_scratch_needs_full", key, "method.finetuning_type", change=change, method=method)


def upcasts(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Nothing to hold in float32 where all is."""
    if recipe.train.bf16 is False and not recipe.train.fp16 and not recipe.method.pure_bf16:
        for name in ("upcast_layernorm", "upcast_lmhead_output"):
            key = f"model.{name}"
            if recipe.value(key):
                yield found("upcast_in_float32", "info", key, "train.bf16", change={key: False}, name=name)


LOADING_RULES: tuple[Rule, ...] = (attention, kernels, missing_packages, what_is_gone, random_start, upcasts)
