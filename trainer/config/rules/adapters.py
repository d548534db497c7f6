"""Rules about adapters beside LoRA's own: their further settings, and what does not go together with them."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.config.adapter_settings import adapter_setting_problem
from trainer.config.finding import Finding
from trainer.config.form import ADAPTER_METHODS, PROMPT_METHODS
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error

_NOT_ON_QUANTIZED = ("loha", "lokr")


def adapter_settings(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """`adapter_kwargs` holds settings of the adapter that have no parameter of their own."""
    given, method = recipe.method.adapter_kwargs, recipe.method.finetuning_type
    if not given or method not in ADAPTER_METHODS:
        return
    for name, value in given.items():
        problem = adapter_setting_problem(method, name, value)
        if problem is None:
            continue
        kept = {other: each for other, each in given.items() if other != name}
        change: dict[str, object] = {"method.adapter_kwargs": kept or None}
        rule = f"adapter_setting_{problem.kind}"
        values = {"name": problem.name, "method": method, "detail": problem.detail}
        yield error(rule, "method.adapter_kwargs", change=change, **values)


def adalora_ranks(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """AdaLoRA begins with more rank than it ends with, which it takes away."""
    begin, end = (recipe.method.adapter_kwargs or {}).get("init_r"), recipe.lora.lora_rank
    if recipe.method.finetuning_type == "adalora" and isinstance(begin, int) and begin < end:
        fields = ("lora.lora_rank", "method.adapter_kwargs")
        yield error("adalora_ranks", *fields, change={fields[0]: begin}, begin=begin, end=end)


def quantized_base_of_adapter(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """Some adapters compute with the weights themselves, which few bits do not allow."""
    bits, method = recipe.quantization.quantization_bit, recipe.method.finetuning_type
    if bits is None:
        return
    key = "quantization.quantization_bit"
    if method in _NOT_ON_QUANTIZED:
        fields = (key, "method.finetuning_type")
        yield error("quantization_and_method", *fields, change={"method.finetuning_type": "lora"}, method=method)
    if method == "lora" and recipe.lora.use_dora and bits == 8 and hardware is not None and not hardware.cuda:
        yield error("dora_in_8_bits_on_processor", "lora.use_dora", key, change={"lora.use_dora": False})


def loftq(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """LoftQ makes good for what 4-bit bitsandbytes weights lost."""
    if not recipe.lora.loftq_init or recipe.method.finetuning_type != "lora":
        return
    off: dict[str, object] = {"lora.loftq_init": False}
    quantization = recipe.quantization
    if quantization.quantization_bit != 4 or quantization.quantization_method != "bnb":
        yield error("loftq_without_quantization", "lora.loftq_init", "quantization.quantization_bit", change=off)
    for other in ("pissa_init", "use_dora"):
        if recipe.value(f"lora.{other}"):
            yield error("loftq_and_other", "lora.loftq_init", f"lora.{other}", change=off, other=other)
    if recipe.model.adapter_name_or_path and not recipe.lora.create_new_adapter:
        fields = ("lora.loftq_init", "model.adapter_name_or_path")
        yield error("start_and_adapter", *fields, change=off, name="loftq_init")


def pissa_start(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """PiSSA starts an adapter: not one that has been trained, not one whose start is given otherwise."""
    if not recipe.lora.pissa_init or recipe.method.finetuning_type != "lora":
        return
    off: dict[str, object] = {"lora.pissa_init": False}
    if recipe.model.adapter_name_or_path and not recipe.lora.create_new_adapter:
        fields = ("lora.pissa_init", "model.adapter_name_or_path")
        yield error("start_and_adapter", *fields, change=off, name="pissa_init")
    if recipe.method.use_asft_loss:
        yield error("pissa_and_asft", "lora.pissa_init", "method.use_asft_loss", change=off)


def prompts(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Vectors in front of every sequence: each row has to be a sequence of its own."""
    method = recipe.method.finetuning_type
    if method not in PROMPT_METHODS:
        return
    if recipe.method.stage not in ("pt", "sft"):
        fields = ("method.finetuning_type", "method.stage")
        change: dict[str, object] = {fields[0]: "lora"}
        yield error("prompts_and_stage", *fields, change=change, method=method, stage=recipe.method.stage)
    for name in ("neat_packing", "padding_free"):
        if recipe.value(f"data.{name}"):
            fields = ("method.finetuning_type", f"data.{name}")
            yield error("prompts_and_packing", *fields, change={f"data.{name}": False}, method=method, name=name)
    if method == "prefix_tuning" and recipe.train.gradient_checkpointing:
        fields = ("method.finetuning_type", "train.gradient_checkpointing")
        yield error("prefixes_and_checkpointing", *fields, change={"train.gradient_checkpointing": False})


ADAPTER_RULES: tuple[Rule, ...] = (
    adapter_settings,
    adalora_ranks,
    quantized_base_of_adapter,
    loftq,
    pissa_start,
    prompts,
)
