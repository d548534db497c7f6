"""Rules about what is trained: quantization, adapters, optimizers of whole weights, precision. Stages: `stages`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from trainer.config.finding import Finding
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error
from trainer.config.rules.sharding import is_zero3, sharding

_BITS = {"bnb": (4, 8), "hqq": (1, 2, 3, 4, 5, 6, 7, 8), "eetq": (8,)}
_WHOLE_WEIGHT_OPTIMIZERS = ("galore.use_galore", "apollo.use_apollo", "badam.use_badam")


def quantized_base(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What a base model of few bits allows."""
    quantization, method = recipe.quantization, recipe.method.finetuning_type
    bits = quantization.quantization_bit
    if bits is None:
        return
    key = "quantization.quantization_bit"
    if method not in ("lora", "oft"):
        fields = (key, "method.finetuning_type")
        yield error("quantization_needs_adapter", *fields, change={"method.finetuning_type": "lora"}, method=method)
    allowed = _BITS[quantization.quantization_method]
    if bits not in allowed:
        yield error(
            "quantization_bits",
            key,
            "quantization.quantization_method",
            change={key: allowed[0]},
            method=quantization.quantization_method,
            allowed=" or ".join(map(str, allowed)) if len(allowed) < 3 else f"{allowed[0]} to {allowed[-1]}",
            bits=bits,
        )
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
    if not recipe.lora.pissa_init:
        return
    off: dict[str, object] = {"lora.pissa_init": False}
    if recipe.method.stage in ("ppo", "kto"):
        yield error("pissa_and_stage", "lora.pissa_init", "method.stage", change=off, stage=recipe.method.stage)
    if recipe.preference.ref_model:
        yield error("pissa_and_reference_model", "lora.pissa_init", "preference.ref_model", change=off)
    if is_zero3(recipe):
        yield error("pissa_and_zero3", "lora.pissa_init", "train.deepspeed", change=off)


def one_optimizer(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """GaLore, APOLLO, BAdam, Adam-mini and Muon each are the optimizer."""
    keys = (*_WHOLE_WEIGHT_OPTIMIZERS, "method.use_adam_mini", "method.use_muon")
    yield from _exclusive("optimizers_exclusive", recipe, keys)


def optimizers_of_whole_weights(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """GaLore, APOLLO and BAdam train all weights, and within limits."""
    method = recipe.method.finetuning_type
    for key in _WHOLE_WEIGHT_OPTIMIZERS:
        if not recipe.value(key):
            continue
        name = key.partition(".")[2]
        if method in ("lora", "oft"):
            fields = (key, "method.finetuning_type")
            change: dict[str, object] = {"method.finetuning_type": "full"}
            yield error("optimizer_needs_whole_weights", *fields, change=change, optimizer=name, method=method)
        if key != "badam.use_badam":
            if recipe.train.deepspeed is not None:
                yield error("optimizer_and_deepspeed", key, "train.deepspeed", change={key: False}, optimizer=name)
            yield from _layerwise(recipe, hardware, key.partition(".")[0])


def _layerwise(recipe: Recipe, hardware: Hardware | None, table: str) -> Iterator[Finding]:
    key = f"{table}.{table}_layerwise"
    if not recipe.value(key):
        return
    name = key.partition(".")[2]
    if hardware is not None and hardware.gpu_count > 1:
        yield error("layerwise_and_several_gpus", key, change={key: False}, layerwise=name, gpus=hardware.gpu_count)
    steps = recipe.train.gradient_accumulation_steps
    if steps > 1:
        fields = (key, "train.gradient_accumulation_steps")
        yield error("layerwise_and_accumulation", *fields, change={fields[1]: 1}, layerwise=name, steps=steps)


def badam_on_several_gpus(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """BAdam switches blocks, which only ZeRO-3 keeps in step on several GPUs."""
    if not recipe.badam.use_badam or hardware is None or hardware.gpu_count < 2:
        return
    mode = recipe.badam.badam_mode
    if mode == "ratio" or not is_zero3(recipe):
        change: dict[str, object] = {"badam.use_badam": False}
        fields = ("badam.use_badam", "badam.badam_mode")
        yield error("badam_and_several_gpus", *fields, change=change, mode=mode, gpus=hardware.gpu_count)


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
    yield from _exclusive("losses_exclusive", recipe, keys)


def one_engine(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Megatron and HyperParallel each are the engine."""
    keys = ("method.use_mca", "method.use_megatron_bridge", "method.use_hyper_parallel")
    yield from _exclusive("engines_exclusive", recipe, keys)


def rotation_size(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """OFT takes the number of blocks or their size, not both."""
    rank, size = recipe.oft.oft_rank, recipe.oft.oft_block_size
    if recipe.method.finetuning_type == "oft" and (rank == 0) == (size == 0):
        change: dict[str, object] = {"oft.oft_rank": 0, "oft.oft_block_size": size or 32}
        yield error("oft_rank_or_block", "oft.oft_rank", "oft.oft_block_size", change=change, rank=rank, size=size)


def _adapter_table(recipe: Recipe) -> str | None:
    """The table of the adapter that is trained; None where none is."""
    method = recipe.method.finetuning_type
    return method if method in ("lora", "oft") else None


def _exclusive(rule: str, recipe: Recipe, keys: tuple[str, ...]) -> Iterator[Finding]:
    for one, other in combinations([key for key in keys if recipe.value(key)], 2):
        names = {"first": one.partition(".")[2], "second": other.partition(".")[2]}
        yield error(rule, one, other, change={other: False}, **names)


METHOD_RULES: tuple[Rule, ...] = (
    quantized_base,
    quantized_base_and_adapters,
    quantized_base_and_sharding,
    adapters,
    kinds_of_lora,
    pissa,
    one_optimizer,
    optimizers_of_whole_weights,
    badam_on_several_gpus,
    unsloth,
    llama_pro,
    pure_bf16,
    one_loss,
    one_engine,
    rotation_size,
)
