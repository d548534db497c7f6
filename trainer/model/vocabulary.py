"""New rows of the embedding matrix: growing it to the tokenizer, what the rows start from, which of them are trained.

The matrix gets exactly the rows that the tokenizer needs and is never made smaller. It is not rounded up to a multiple
of 64: rows without a token would take probability from the others, and an adapter, which holds the trained rows alone,
could not say what stood in them. With adapters, PEFT trains the rows in place of the whole matrix.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft.utils.other import TrainableTokensWrapper
from safetensors import safe_open

from trainer.config import Recipe
from trainer.data import TextTokenizer, recipe_tokenizer
from trainer.data.new_tokens import NewToken, new_tokens
from trainer.errors import UserError
from trainer.run.messages import Say, words

_LITTLE = 0.1
"""Share of the spread that is added to descriptions: as much as the rows differ, the noise would drown them."""
_MATRIX = re.compile(r"\.(embed_tokens|wte|lm_head)\.(modules_to_save\.)?weight$")
_MOST_NAMED = 8
_CHUNK_ROWS = 8192


def grow_vocabulary(model: Any, recipe: Recipe, say: Say) -> None:
    """Give every token that is new to the model a row in its embeddings, and in its output layer where that is another
    matrix; tells which tokens are new, and why the matrix grows.

    Raises:
        UserError: when tokens cannot be added, or an adapter that is trained on has no place for them.
    """
    if not _may_grow(recipe):
        return
    tokens, before = new_tokens(recipe), _row_count(model)
    needed = max([0, *map(_rows_of_adapter, recipe.model.adapter_name_or_path)])
    if not _adds_rows(recipe) and needed <= before and all((token.identifier or 0) < before for token in tokens):
        return  # what the adapters need is there
    tokenizer = recipe_tokenizer(recipe)
    rows = _new_rows(tokens, tokenizer)
    _check_continued_adapter(recipe, rows)
    needed = max(needed, tokenizer.rows)
    known = _names([token.text for token in tokens if token.identifier is None and _was_there(token, tokenizer)])
    if known:
        say("info", words("run_tokens_known", tokens=known))
    if needed > before:
        try:
            _grow(model, needed)
        except (TypeError, NotImplementedError) as error:
            raise UserError(f"this model's embeddings cannot grow: {error}", field="resize_vocab") from error
    if not rows:
        return
    named = _names([tokenizer.token(row) for row in rows])
    counts = {"count": len(rows), "tokens": named, "before": before, "after": needed}
    say("info", words("run_vocabulary_grown" if needed > before else "run_vocabulary_had_room", **counts))
    _fill(model, rows, min(before, rows[0]), _Start(recipe, tokens, tokenizer))
    say("info", words(_what_is_trained(model, recipe), count=len(rows)))


def warn_of_missing_rows(model: Any, tokenizer: Any, say: Say) -> None:
    """Tell of tokens that have an id but no row in the embeddings: a batch that holds one cannot be computed."""
    rows, needed = _row_count(model), _rows_of_tokenizer(tokenizer)
    if needed > rows:
        say("warning", words("run_tokens_without_rows", rows=rows, needed=needed))


def fit_vocabulary(model: Any, tokenizer: Any, adapters: Sequence[str] = ()) -> None:
    """Make room for the tokens of an adapter's tokenizer, before the adapters that bring their rows are loaded. Rows
    that they do not bring are the mean of all others.
    """
    needed = max([_rows_of_tokenizer(tokenizer), *map(_rows_of_adapter, adapters)])
    if needed > _row_count(model):
        _grow(model, needed)


def trainable_tokens(model: Any, recipe: Recipe) -> dict[str, list[int]] | None:
    """PEFT's `trainable_token_indices`: by layer, the rows that a new LoRA adapter trains beside its matrices: those
    of new tokens and of `trainable_tokens`. None: there are none, or `additional_target` trains whole matrices.

    Raises:
        UserError: when `trainable_tokens` names none, or the output layer has a bias.
    """
    chosen = recipe.lora.trainable_tokens
    if not chosen and not _may_grow(recipe):
        return None
    tokenizer = recipe_tokenizer(recipe)
    rows = sorted({*_new_rows(new_tokens(recipe), tokenizer), *(_row(name, tokenizer) for name in chosen)})
    layers = _layers_of_rows(model, recipe)
    if not rows or not layers:
        return None
    head = model.get_output_embeddings()
    if head is not None and head.bias is not None:
        raise UserError(
            "the output layer of this model has a bias, with which PEFT cannot train single rows",
            field="additional_target",
            hint=f"Train the layers whole: additional_target = {json.dumps(layers)}",
        )
    return dict.fromkeys(layers, rows)


def finish_adapter(model: Any) -> None:
    """Make an adapter that trains rows work with TRL's loss, and save the rows alone.

    TRL reads `bias` of the output layer, which PEFT's wrapper does not pass on. PEFT by itself saves the whole matrix
    with every adapter as soon as its size differs from that of the base model.
    """
    head = model.get_output_embeddings()
    if isinstance(head, TrainableTokensWrapper):
        head.bias = None
    model.save_pretrained = partial(model.save_pretrained, save_embedding_layers=False)


def train_new_rows(model: Any, recipe: Recipe) -> None:
    """With `finetuning_type = "freeze"` the matrices that hold new rows are trained as a whole."""
    if _may_grow(recipe) and _new_rows(new_tokens(recipe), recipe_tokenizer(recipe)):
        for weight in _matrices(model).values():
            weight.requires_grad_(True)


def _adds_rows(recipe: Recipe) -> bool:
    return recipe.model.resize_vocab or recipe.model.adding_tokens is not None


def _may_grow(recipe: Recipe) -> bool:
    return _adds_rows(recipe) or bool(recipe.model.adapter_name_or_path)


def _row_count(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[0])


def _rows_of_tokenizer(tokenizer: Any) -> int:
    return 1 + max(tokenizer.get_vocab().values())


def _rows_of_adapter(folder: str) -> int:
    """The rows of the embeddings that an adapter holds as a whole (`additional_target`); 0: it does not."""
    file = Path(folder).expanduser() / "adapter_model.safetensors"
    if not file.is_file():
        return 0
    with safe_open(file, framework="pt") as opened:
        names = set(opened.keys())
        shapes = [opened.get_slice(name).get_shape() for name in names if _MATRIX.search(name)]
    return max((shape[0] for shape in shapes), default=0)


def _grow(model: Any, rows: int) -> None:
    """Grow the matrices; each new row is the mean of the others."""
    before = _row_count(model)
    model.resize_token_embeddings(rows, mean_resizing=False)
    for weight in _matrices(model).values():
        if not weight.is_meta:
            weight.data[before:] = _mean_and_spread(weight.data[:before])[0].to(weight)


def _matrices(model: Any) -> dict[str, torch.nn.Parameter]:
    """Embeddings, and output layer where it is a matrix of its own, by the last part of their names."""
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    layers = [embeddings] if head is None or _is_tied(model) else [embeddings, head]
    names = {id(module): name.rpartition(".")[2] for name, module in model.named_modules()}
    return {names[id(layer)]: layer.weight for layer in layers}


def _is_tied(model: Any) -> bool:
    return bool(getattr(model.config, "tie_word_embeddings", False))


def _layers_of_rows(model: Any, recipe: Recipe) -> list[str]:
    """The layers of which LoRA trains single rows: not those that `additional_target` trains as a whole."""
    whole = {name.rpartition(".")[2] for name in recipe.lora.additional_target}
    layers = list(_matrices(model))
    if len(layers) == 1 and "lm_head" in whole:
        return []  # the same matrix
    return [name for name in layers if name not in whole]


def _what_is_trained(model: Any, recipe: Recipe) -> str:
    alone = recipe.method.finetuning_type == "lora" and _layers_of_rows(model, recipe)
    return "run_new_rows_alone" if alone else "run_new_rows_in_matrix"


def _was_there(token: NewToken, tokenizer: TextTokenizer) -> bool:
    return tokenizer.backend.token_to_id(token.text) not in tokenizer.new_ids


def _new_rows(tokens: Sequence[NewToken], tokenizer: TextTokenizer) -> list[int]:
    """The rows that nothing has trained yet: of tokens that are new, and of those that the model has no rows for."""
    brought = {token.identifier for token in tokens}
    without = range(_stated_rows(tokenizer.folder, tokenizer.rows), tokenizer.rows)
    return sorted({*tokenizer.new_ids, *without} - brought)


def _stated_rows(folder: Path, otherwise: int) -> int:
    """The rows of the embeddings as the model's configuration states them."""
    file = folder / "config.json"
    config: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    inner = config.get("text_config")
    stated = {**config, **(inner if isinstance(inner, dict) else {})}.get("vocab_size")
    return stated if isinstance(stated, int) else otherwise


def _row(name: str, tokenizer: TextTokenizer) -> int:
    """The id of a token that is named by its text or its number."""
    if name.isdecimal():
        row = int(name)
        if row < tokenizer.rows:
            return row
        raise UserError(
            f"there is no token {row}: expected a number below {tokenizer.rows}", field="trainable_tokens", value=name
        )
    ids = tokenizer.encode(name)
    if len(ids) != 1:
        raise UserError(
            f"this is not one token but {len(ids)} in this model's vocabulary",
            field="trainable_tokens",
            value=name,
            hint="Name tokens by their text or their number; add_tokens makes a new one",
        )
    return ids[0]


def _check_continued_adapter(recipe: Recipe, rows: Sequence[int]) -> None:
    """Raises: UserError when the adapter that is trained on does not train these rows."""
    adapters = recipe.model.adapter_name_or_path
    if not rows or not adapters or recipe.method.finetuning_type != "lora" or recipe.lora.create_new_adapter:
        return
    file = Path(adapters[-1]).expanduser() / "adapter_config.json"
    config: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    has = config.get("trainable_token_indices") or []
    trained = {row for layer in (has.values() if isinstance(has, dict) else [has]) for row in layer}
    if not trained.issuperset(rows):
        raise UserError(
            "the adapter that is trained on has no rows for new tokens, and gets none",
            field="adapter_name_or_path",
            value=adapters[-1],
            hint="Set create_new_adapter = true, or leave the new tokens out",
        )


class _Start:
    """What new rows start from, as `init_special_tokens` says."""

    def __init__(self, recipe: Recipe, tokens: Sequence[NewToken], tokenizer: TextTokenizer) -> None:
        self._way = recipe.model.init_special_tokens
        ids = {tokenizer.backend.token_to_id(token.text): token.description for token in tokens}
        self._descriptions = {row: tokenizer.encode(text) for row, text in ids.items() if text}
        # Of its own: whether tokens are added must not change the adapter's random start.
        self._generator = torch.Generator().manual_seed(recipe.train.seed)

    def values(self, row: int, known: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """The start of a row, (width) float32; `known` are the rows of tokens that the model was trained with."""
        noise = spread * torch.randn(len(mean), generator=self._generator)
        described = [part for part in self._descriptions.get(row, ()) if part < len(known)]
        if self._way == "noise_init" or not described:
            return mean + noise
        start = known[described].to(torch.float32).mean(0).cpu()
        return start if self._way == "desc_init" else start + _LITTLE * noise


def _fill(model: Any, rows: Sequence[int], known: int, start: _Start) -> None:
    """Put the rows where they start from; the first `known` ones are of tokens that the model was trained with."""
    for weight in _matrices(model).values():
        if weight.is_meta:
            continue
        mean, spread = _mean_and_spread(weight.data[:known])
        for row in rows:
            weight.data[row] = start.values(row, weight.data[:known], mean, spread).to(weight)


def _mean_and_spread(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the rows, each (width) float32 in main memory."""
    total, squares = torch.zeros(2, weight.shape[1], dtype=torch.float64)
    for part in weight.split(_CHUNK_ROWS):
        numbers = part.cpu().to(torch.float64)
        total += numbers.sum(0)
        squares += numbers.square().sum(0)
    mean = total / len(weight)
    spread = (squares / len(weight) - mean.square()).clamp(min=0).sqrt()
    return mean.to(torch.float32), spread.to(torch.float32)


def _names(tokens: Sequence[str]) -> str:
    more = len(tokens) - _MOST_NAMED
    return ", ".join(tokens[:_MOST_NAMED]) + (f" (+{more})" if more > 0 else "")
