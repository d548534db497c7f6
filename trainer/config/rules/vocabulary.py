"""Rules about tokens: new ones, what their embeddings start from, and which tokenizer reads them."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.config.finding import Finding
from trainer.config.form import ADAPTER_METHODS, PROMPT_METHODS
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error, warning

_EMBEDDINGS = ("embed_tokens", "lm_head")


def slow_tokenizer(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """transformers 5 reads `use_fast` and does nothing with it."""
    if not recipe.model.use_fast_tokenizer:
        key = "model.use_fast_tokenizer"
        yield error("no_slow_tokenizer", key, change={key: True})


def new_tokens(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Each new token is named once, and has a text."""
    seen: set[str] = set()
    for name in ("add_tokens", "add_special_tokens"):
        key, tokens = f"model.{name}", list(recipe.value(f"model.{name}"))  # type: ignore[call-overload]
        kept = [token for number, token in enumerate(tokens) if token and token not in {*seen, *tokens[:number]}]
        if "" in tokens:
            yield error("new_token_empty", key, change={key: kept}, name=name)
        elif kept != tokens:
            twice = next(token for number, token in enumerate(tokens) if token in {*seen, *tokens[:number]})
            yield error("new_token_twice", "model.add_tokens", key, change={key: kept}, token=twice)
        seen.update(tokens)


def descriptions(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Descriptions where embeddings start from them, and only there."""
    key, file = "model.init_special_tokens", "model.new_special_tokens_config"
    way = recipe.model.init_special_tokens
    if way != "noise_init" and recipe.model.new_special_tokens_config is None:
        yield error("descriptions_missing", key, file, change={key: "noise_init"}, way=way)
    if way == "noise_init" and recipe.model.new_special_tokens_config is not None:
        yield warning("descriptions_unused", file, key, change={key: "desc_init"})


def quantized_base(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """bitsandbytes leaves embeddings and output layer as they are; of the others that is not known."""
    quantization = recipe.quantization
    growing = recipe.model.adding_tokens or ("resize_vocab" if recipe.model.resize_vocab else None)
    if quantization.quantization_bit is None or quantization.quantization_method == "bnb" or growing is None:
        return
    fields = (f"model.{growing}", "quantization.quantization_method")
    change: dict[str, object] = {fields[1]: "bnb"}
    method = quantization.quantization_method
    yield error("quantization_and_resize_vocab", *fields, change=change, growing=growing, method=method)


def methods_without_rows(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Only LoRA trains single rows: other adapters need the matrices named that hold the new ones."""
    growing, method = recipe.model.adding_tokens, recipe.method.finetuning_type
    if growing is None or method == "lora" or method not in ADAPTER_METHODS:
        return
    table = "oft" if method == "oft" else "lora"
    whole = recipe.oft.additional_target if table == "oft" else recipe.lora.additional_target
    if set(_EMBEDDINGS) & set(whole) and method not in PROMPT_METHODS:
        return
    fields = (f"model.{growing}", "method.finetuning_type", f"{table}.additional_target")
    change: dict[str, object] = {"method.finetuning_type": "lora"}
    yield error("adapter_and_new_tokens", *fields, change=change, growing=growing, method=method)


def single_rows(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Rows of the embeddings are trained alone, with a matrix of rank r, or as a whole: not in two ways at once."""
    if recipe.method.finetuning_type != "lora":
        return
    asking = "lora.trainable_tokens" if recipe.lora.trainable_tokens else None
    growing = recipe.model.adding_tokens
    asking = asking or (None if growing is None else f"model.{growing}")
    if asking is None:
        return
    name = asking.partition(".")[2]
    targets = [target for target in recipe.lora.lora_target if target in _EMBEDDINGS]
    if targets:
        rest = [target for target in recipe.lora.lora_target if target not in targets] or ["all"]
        change: dict[str, object] = {"lora.lora_target": rest}
        yield error("lora_on_embeddings_with_rows", "lora.lora_target", asking, change=change, name=name)
    elif "embed_tokens" in recipe.lora.additional_target and recipe.lora.trainable_tokens:
        change = {"lora.trainable_tokens": []}
        yield warning("rows_in_whole_matrix", "lora.trainable_tokens", "lora.additional_target", change=change)


VOCABULARY_RULES: tuple[Rule, ...] = (
    slow_tokenizer,
    new_tokens,
    descriptions,
    quantized_base,
    methods_without_rows,
    single_rows,
)
