"""Rules about what is trained: quantization, adapters, precision. Stages: `stages`."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.config.finding import Finding
from trainer.config.form import ADAPTER_METHODS
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error, exclusive
from trainer.config.rules.sharding import is_zero3, sharding

_BITS = {"bnb": (4, 8), "hqq": (1, 2, 3, 4, 5, 6, 7, 8), "eetq": (8,)}


def _bits(recipe: Recipe, key: str) -> Iterator[Finding]:
    """Each way to quantize knows some numbers of bits."""
    method, bits = recipe.quantization.quantization_method, recipe.value(key)
    allowed = _BITS[method]
    if bits is not None and bits not in allowed:
        yield error(
            "quantization_bits",
            key,
            "quantization.quantization_method",
            change={key: allowed[0]},
            method=method,
            allowed=" or ".join(map(str, allowed)) if len(allowed) < 3 else f"{allowed[0]} to {allowed[-1]}",
            name=key.partition(".")[2],
            bits=bits,
        )


def quantized_base(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What a base model of few bits allows."""
    quantization, method = recipe.quantization, recipe.method.finetuning_type
    yield from _bits(recipe, "preference.ref_model_quantization_bit")
    key = "quantization.quantization_bit"
    yield from _bits(recipe, key)
    if quantization.quantization_bit is None:
        return
    if method not in ADAPTER_METHODS:
        fields = (key, "method.finetuning_type")
        yield error("quantization_needs_adapter", *fields, change={"method.finetuning_type": "lora"}, method=method)
    if recipe.lora.pissa_init and method == "lora":
        yield error("quantization_and_pissa", "lora.pissa_init", key, change={"lora.pissa_init": False})
    if recipe.fp8.fp8:
        yield error("quantization_and_fp8", "fp8.fp8", key, change={"fp8.fp8": False})
    if recipe.train.do_train and quantization.quantization_device_map is not None:
        fields = ("quantization.quantization_device_map", "train.do_train")
        yield error("quantization_device_map_in_training", *fields, change={fields[0]: None})


def quantized_base_and_adapters(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Nothing can be merged into quantized weights."""
    if recipe.quantization.quantization_bit is None:
        return
    key = "quantization.quantization_bit"
    adapters = recipe.model.adapter_name_or_path
    if len(adapters) > 1:
        fields = ("model.adapter_name_or_path", key)
        yield error("quantization_and_adapters", *fields, change={key: None}, count=len(adapters))
    table = _adapter_table(recipe)
    if adapters and table is not None and recipe.value(f"{table}.create_new_adapter"):
        create = f"{table}.create_new_adapter"
        yield error("quantization_and_new_adapter", create, key, change={create: False})


def quantized_base_and_sharding(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Only 4-bit bitsandbytes weights can be split over GPUs."""
    quantization = recipe.quantization
    split = sharding(recipe)
    if quantization.quantization_bit is None or split is None:
        return
    if quantization.quantization_method == "bnb" and quantization.quantization_bit != 8:
        return
    what = "8-bit quantization" if quantization.quantization_method == "bnb" else quantization.quantization_method
    fields = ("quantization.quantization_bit", "quantization.quantization_method", split.field)
    change: dict[str, object] = {"quantization.quantization_method": "bnb", "quantization.quantization_bit": 4}
    yield error("quantization_and_sharding", *fields, change=change, what=what, sharding=split.name)


def adapters(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Adapters only where the method has adapters."""
    given, method = recipe.model.adapter_name_or_path, recipe.method.finetuning_type
    table = _adapter_table(recipe)
    if given and table is None:
        fields = ("model.adapter_name_or_path", "method.finetuning_type")
        yield error("adapter_without_adapter_method", *fields, change={fields[0]: []}, method=method)
    if not given and table is not None and recipe.value(f"{table}.create_new_adapter"):
        create = f"{table}.create_new_adapter"
        yield error("new_adapter_without_adapter", create, "model.adapter_name_or_path", change={create: False})


def kinds_of_lora(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """LoRA+, rsLoRA, DoRA and PiSSA are kinds of LoRA."""
    method = recipe.method.finetuning_type
    if method == "lora":
        return
    for name in ("loraplus_lr_ratio", "use_rslora", "use_dora", "pissa_init"):
        if recipe.value(f"lora.{name}"):
            change: dict[str, object] = {"method.finetuning_type": "lora"}
            yield error("needs_lora", f"lora.{name}", "method.finetuning_type", change=change, name=name, method=method)


def pissa(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """PiSSA changes the base weights, which others need as they were."""
    if not recipe.lora.pissa_init or recipe.method.finetuning_type != "lora":
        return
    off: dict[str, object] = {"lora.pissa_init": False}
    if recipe.method.stage in ("ppo", "kto", "grpo", "rloo"):
        yield error("pissa_and_stage", "lora.pissa_init", "method.stage", change=off, stage=recipe.method.stage)
    if recipe.preference.ref_model:
        yield error("pissa_and_reference_model", "lora.pissa_init", "preference.ref_model", change=off)
    if is_zero3(recipe):
        yield error("pissa_and_zero3", "lora.pissa_init", "train.deepspeed", change=off)


def unsloth(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """unsloth patches whole weights."""
    if recipe.model.use_unsloth and is_zero3(recipe):
        change: dict[str, object] = {"model.use_unsloth": False}
        yield error("unsloth_and_zero3", "model.use_unsloth", "train.deepspeed", change=change)


def llama_pro(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """LLaMA Pro trains blocks, not everything."""
    if recipe.method.use_llama_pro and recipe.method.finetuning_type == "full":
        fields = ("method.use_llama_pro", "method.finetuning_type")
        yield error("llama_pro_and_full", *fields, change={"method.finetuning_type": "freeze"})


def pure_bf16(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """bfloat16 alone: the hardware, the sharding and other precisions have to agree."""
    if not recipe.method.pure_bf16:
        return
    key = "method.pure_bf16"
    if hardware is not None and hardware.cuda and not hardware.bf16:
        yield error("pure_bf16_without_hardware", key, change={key: False})
    if is_zero3(recipe):
        yield error("pure_bf16_and_zero3", key, "train.deepspeed", change={key: False, "train.bf16": True})
    for mixed in ("bf16", "fp16"):
        if recipe.value(f"train.{mixed}"):
            yield error("pure_bf16_and_mixed", key, f"train.{mixed}", change={f"train.{mixed}": False}, mixed=mixed)
    for upcast in ("upcast_layernorm", "upcast_lmhead_output"):
        if recipe.value(f"model.{upcast}"):
            yield error(
                "pure_bf16_and_upcast", key, f"model.{upcast}", change={f"model.{upcast}": False}, upcast=upcast
            )


def one_loss(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """DFT, ASFT and EAFT each are the loss."""
    keys = ("method.use_dft_loss", "method.use_asft_loss", "method.use_eaft_loss")
    yield from exclusive("losses_exclusive", recipe, keys)
    smoothing = "trainer.label_smoothing_factor"
    for key in keys:
        if recipe.value(key) and recipe.trainer.get("label_smoothing_factor"):
            first, second = key.partition(".")[2], smoothing.partition(".")[2]
            yield error("losses_exclusive", key, smoothing, change={key: False}, first=first, second=second)


def one_engine(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Megatron and HyperParallel each are the engine."""
    keys = ("method.use_mca", "method.use_megatron_bridge", "method.use_hyper_parallel")
    yield from exclusive("engines_exclusive", recipe, keys)


def rotation_size(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """OFT takes the number of blocks or their size, not both."""
    rank, size = recipe.oft.oft_rank, recipe.oft.oft_block_size
    if recipe.method.finetuning_type == "oft" and (rank == 0) == (size == 0):
        change: dict[str, object] = {"oft.oft_rank": 0, "oft.oft_block_size": size or 32}
        yield error("oft_rank_or_block", "oft.oft_rank", "oft.oft_block_size", change=change, rank=rank, size=size)


def _adapter_table(recipe: Recipe) -> str | None:
    """The table of the adapter that is trained; None where none is."""
    method = recipe.method.finetuning_type
    if method not in ADAPTER_METHODS:
        return None
    return "oft" if method == "oft" else "lora"


METHOD_RULES: tuple[Rule, ...] = (
    quantized_base,
    quantized_base_and_adapters,
    quantized_base_and_sharding,
    adapters,
    kinds_of_lora,
    pissa,
    unsloth,
    llama_pro,
    pure_bf16,
    one_loss,
    one_engine,
    rotation_size,
)
