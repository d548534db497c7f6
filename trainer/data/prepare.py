"""Recipe to training rows and evaluation rows: what the trainer calls. Not for checking without a run (`preflight`)."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import Recipe
from trainer.data.dataset import EncodedRows
from trainer.data.findings import all_masked
from trainer.data.model_folder import find_model_folder
from trainer.data.pipeline import Encoded, PipelineOptions, Progress, encode_datasets
from trainer.data.registry import split_names
from trainer.data.report import DataReport
from trainer.data.tokenizer import TextTokenizer, load_tokenizer
from trainer.errors import UserError


@dataclass(frozen=True)
class PreparedData:
    """The rows of a run."""

    train: EncodedRows
    evaluation: EncodedRows | None
    report: DataReport
    """Of the training rows, before some of them were held back for evaluation."""
    evaluation_report: DataReport | None = None
    """Of the rows of `eval_dataset`."""


def recipe_tokenizer(recipe: Recipe, *, download: bool = False) -> TextTokenizer:
    """The tokenizer of the recipe's model.

    Raises: UserError when the model or its tokenizer is not there.
    """
    model = recipe.model
    folder = find_model_folder(
        model.model_name_or_path, cache_dir=model.cache_dir, revision=model.model_revision, download=download
    )
    return load_tokenizer(folder)


def prepare(recipe: Recipe, *, progress: Progress | None = None, limit_rows: int | None = None) -> PreparedData:
    """Reads and encodes all rows of a recipe; `limit_rows` takes only the first rows of each data set.

    Raises: UserError for whatever keeps the rows from being trained on; with `on_bad_row = "stop"` also at the first
    bad row.
    """
    names = split_names(recipe.data.dataset)
    if not names:
        raise UserError("no data set is chosen", field="dataset", hint="Set dataset to a registered name or a file")
    tokenizer = recipe_tokenizer(recipe, download=True)
    options = PipelineOptions.of(recipe, limit_rows=limit_rows)
    encoded = _usable(encode_datasets(names, tokenizer, options, progress), "dataset")
    train, evaluation, evaluation_report = encoded.rows, None, None
    evaluation_names = split_names(recipe.data.eval_dataset)
    if evaluation_names:
        held = _usable(encode_datasets(evaluation_names, tokenizer, options), "eval_dataset")
        evaluation, evaluation_report = held.rows, held.report
    elif recipe.data.val_size:
        if recipe.data.val_size >= len(train):
            raise UserError(
                f"leaves no rows to train on (there are {len(train)})",
                field="val_size",
                value=recipe.data.val_size,
                hint="Choose a smaller number, or a fraction below 1",
            )
        train, evaluation = train.split(recipe.data.val_size, recipe.train.seed)
        if not train:
            raise UserError("leaves no rows to train on", field="val_size", value=recipe.data.val_size)
    return PreparedData(train, evaluation, encoded.report, evaluation_report)


def _usable(encoded: Encoded, field: str) -> Encoded:
    """The same, provided that there is anything in it to train on."""
    if encoded.rows:
        return encoded
    report = encoded.report
    if report.unlabelled:
        raise UserError(all_masked(report).text, field=field)
    examples = "; ".join(f"{item.count} x {item.examples[0]}" for item in report.bad[:3])
    raise UserError(f"none of the {report.rows_read} rows can be used ({examples})", field=field)
