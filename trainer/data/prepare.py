"""Recipe to training rows and evaluation rows: what the trainer calls. Not for checking without a run (`preflight`)."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from pathlib import PurePath
from typing import NamedTuple

from trainer.config import Recipe
from trainer.data.dataset import EncodedRows
from trainer.data.findings import all_masked
from trainer.data.mix import Mixture, drawn_rows, held_back, mixed
from trainer.data.model_folder import find_model_folder
from trainer.data.new_tokens import new_tokens
from trainer.data.pipeline import Encoded, PipelineOptions, Progress, encode_datasets, locate
from trainer.data.registry import split_names
from trainer.data.report import DataReport
from trainer.data.streams import RowStream, first_rows
from trainer.data.tokenizer import TextTokenizer, load_tokenizer
from trainer.errors import UserError


@dataclass(frozen=True)
class PreparedData:
    """The rows of a run."""

    train: EncodedRows
    """In the order of the mixture; rows that it repeats stand there more than once."""
    evaluation: EncodedRows | None
    report: DataReport
    """Of the training rows, before some of them were held back for evaluation; empty where they are streamed."""
    evaluation_report: DataReport | None = None
    """Of the rows of `eval_dataset`."""
    evaluation_sets: Mapping[str, EncodedRows] = field(default_factory=dict)
    """With `eval_on_each_dataset`: the rows of `evaluation` by data set, under names that go into names of figures."""
    stream: RowStream | None = None
    """With `streaming`: the training rows, in place of `train`, which is empty then."""


def recipe_tokenizer(recipe: Recipe, *, download: bool = False) -> TextTokenizer:
    """The tokenizer of the recipe's model, with the tokens that the recipe adds.

    Raises: UserError when the model or its tokenizer is not there.
    """
    model = recipe.model
    folder = find_model_folder(
        model.model_name_or_path,
        cache_dir=model.cache_dir,
        revision=model.model_revision,
        hub=model.model_hub,
        download=download,
    )
    return load_tokenizer(folder, recipe.data.template, recipe.data.tool_format, new_tokens(recipe))


def prepare(recipe: Recipe, *, progress: Progress | None = None, limit_rows: int | None = None) -> PreparedData:
    """Reads, encodes and mixes all rows of a recipe; `limit_rows` takes only the first rows of each data set.

    With `do_train = false` the training rows are read only where those for evaluation are among them.

    Raises: UserError for whatever keeps the rows from being trained on; with `on_bad_row = "stop"` also at the first
    bad row.
    """
    names = split_names(recipe.data.dataset)
    only_evaluated = not recipe.train.do_train and bool(recipe.data.eval_dataset)
    if not names and not only_evaluated:
        raise UserError("no data set is chosen", field="dataset", hint="Set dataset to a registered name or a file")
    tokenizer = recipe_tokenizer(recipe, download=True)
    options = PipelineOptions.of(recipe, limit_rows=limit_rows, download=True)
    if only_evaluated:
        held = _evaluation(recipe, tokenizer, options, progress)
        return PreparedData(EncodedRows(), held.rows, DataReport(), held.report, held.sets)
    if recipe.data.streaming:
        return _prepare_stream(recipe, tokenizer, options, progress)
    encoded = _usable(encode_datasets(names, tokenizer, options, progress), "dataset")
    chosen = _chosen_rows(encoded, names, options, recipe.train.seed)
    order = _mixed(encoded, chosen, Mixture.of(recipe))
    if recipe.data.eval_dataset:
        held = _evaluation(recipe, tokenizer, options, progress)
        return PreparedData(encoded.rows.select(order), held.rows, encoded.report, held.report, held.sets)
    if not recipe.data.val_size:
        return PreparedData(encoded.rows.select(order), None, encoded.report)
    order, kept = _without_held(order, recipe)
    sets = {}
    if recipe.data.eval_on_each_dataset:
        kept_rows = set(kept)
        sets = _by_set(encoded, [[row for row in dict.fromkeys(part) if row in kept_rows] for part in chosen])
    return PreparedData(encoded.rows.select(order), encoded.rows.select(kept), encoded.report, None, sets)


def _prepare_stream(
    recipe: Recipe, tokenizer: TextTokenizer, options: PipelineOptions, progress: Progress | None
) -> PreparedData:
    """The same for rows that are read while training; only those for evaluation are read now."""
    for name in split_names(recipe.data.dataset):
        entry = locate(name, options.dataset_dir)
        if entry.num_samples is not None:
            hint = "Remove num_samples from the entry, or turn streaming off"
            raise UserError(
                f"{entry.name} asks for num_samples, which a stream cannot draw", field="streaming", hint=hint
            )
    stream = RowStream(recipe, tokenizer)
    if recipe.data.eval_dataset:
        held = _evaluation(recipe, tokenizer, options, progress)
        return PreparedData(EncodedRows(), held.rows, DataReport(), held.report, held.sets, stream)
    if not recipe.data.val_size:
        return PreparedData(EncodedRows(), None, DataReport(), stream=stream)
    rows = first_rows(stream, int(recipe.data.val_size))
    stream = replace(stream, held=frozenset(row.source for row in rows))
    return PreparedData(EncodedRows(), rows, DataReport(), stream=stream)


class _Evaluation(NamedTuple):
    rows: EncodedRows
    report: DataReport
    sets: dict[str, EncodedRows]


def _evaluation(
    recipe: Recipe, tokenizer: TextTokenizer, options: PipelineOptions, progress: Progress | None
) -> _Evaluation:
    """The rows of `eval_dataset`, one set after the other."""
    names = split_names(recipe.data.eval_dataset)
    encoded = _usable(encode_datasets(names, tokenizer, options, progress), "eval_dataset")
    parts = _chosen_rows(encoded, names, options, recipe.train.seed)
    rows = encoded.rows.select([row for part in parts for row in part])
    return _Evaluation(rows, encoded.report, _by_set(encoded, parts) if recipe.data.eval_on_each_dataset else {})


def _chosen_rows(encoded: Encoded, names: Sequence[str], options: PipelineOptions, seed: int) -> list[Sequence[int]]:
    """The rows of each data set as numbers in all rows: all of them, or `num_samples` as its entry says."""
    firsts = accumulate((len(rows) for _, rows in encoded.parts), initial=0)
    chosen: list[Sequence[int]] = []
    for name, (_, rows), first in zip(names, encoded.parts, firsts, strict=False):
        wanted = locate(name, options.dataset_dir).num_samples
        if wanted is None:
            chosen.append(range(first, first + len(rows)))
        else:
            count = min(wanted, options.row_limit or wanted)
            chosen.append([first + row for row in drawn_rows(len(rows), count, seed)])
    return chosen


def _mixed(encoded: Encoded, chosen: Sequence[Sequence[int]], mixture: Mixture) -> Sequence[int]:
    """The training rows in their order.

    Raises: UserError when a data set that is needed for the mixture has no rows.
    """
    if mixture.needs_every_set:
        for (name, _), rows in zip(encoded.parts, chosen, strict=True):
            if not rows:
                raise UserError(
                    f"none of the rows of {name} can be used, so that there is nothing to mix with",
                    field="dataset",
                    hint="Leave the data set out, or set mix_strategy = concat",
                )
    return array("q", mixed([partial(iter, rows) for rows in chosen], mixture))


def _without_held(order: Sequence[int], recipe: Recipe) -> tuple[Sequence[int], Sequence[int]]:
    """The training rows without those that `val_size` holds back, and these.

    Raises: UserError when none are left.
    """
    size = recipe.data.val_size
    rest, held = held_back(order, size, recipe.train.seed)
    if not rest:
        raise UserError(
            f"leaves no rows to train on (there are {len(held)})",
            field="val_size",
            value=size,
            hint="Choose a smaller number, or a fraction below 1",
        )
    return rest, held


def _by_set(encoded: Encoded, parts: Sequence[Sequence[int]]) -> dict[str, EncodedRows]:
    """The rows of each data set that has any, by a name that can stand in the name of a figure."""
    found: dict[str, EncodedRows] = {}
    for (name, _), rows in zip(encoded.parts, parts, strict=True):
        if rows:
            found[_figure_name(name, found)] = encoded.rows.select(rows)
    return found


def _figure_name(name: str, taken: Mapping[str, object]) -> str:
    """The name of a data set without folder and suffix, with a number where there are several of that name."""
    path = PurePath(name)
    plain = (path.name.partition(".")[0] if path.suffix else path.name) or "data"
    number = 1
    while (found := plain if number == 1 else f"{plain}_{number}") in taken:
        number += 1
    return found


def _usable(encoded: Encoded, field: str) -> Encoded:
    """The same, provided that there is anything in it to train on."""
    if encoded.rows:
        return encoded
    report = encoded.report
    if report.unlabelled:
        raise UserError(all_masked(report).text, field=field)
    examples = "; ".join(f"{item.count} x {item.examples[0]}" for item in report.bad[:3])
    raise UserError(f"no row can be used (read: {report.rows_read}; {examples})", field=field)
