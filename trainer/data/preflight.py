"""Everything about model folder and data that can be known without torch, as findings. Not for what the recipe alone
tells (`trainer.config.check`)."""

from __future__ import annotations

from trainer.config import Finding, Hardware, Recipe
from trainer.data.dataset import held_rows
from trainer.data.encode import missing_template
from trainer.data.findings import finding
from trainer.data.model_files import check_model_files
from trainer.data.model_folder import find_model_folder, is_hub_id
from trainer.data.model_size import large_for_processor
from trainer.data.pipeline import PipelineOptions, encode_datasets, locate
from trainer.data.prepare import recipe_tokenizer
from trainer.data.registry import split_names
from trainer.data.report import DataReport
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError


def preflight(recipe: Recipe, *, limit_rows: int = 20_000, seconds: float = 1.5) -> list[Finding]:
    """What is wrong with the model folder, the data files, the rows and the labels, all at once.

    Reads the first `limit_rows` rows of each data set with the code that the trainer uses, for `seconds` at most. Needs
    no network, and raises nothing for the user's mistakes.
    """
    findings: list[Finding] = []
    tokenizer = _tokenizer(recipe, findings)
    if not Hardware.detect().cuda:
        findings += large_for_processor(recipe)
    options = PipelineOptions.of(recipe, limit_rows=limit_rows).for_check(seconds)
    reports: list[DataReport] = []
    findings += _check("data.dataset", split_names(recipe.data.dataset), tokenizer, recipe, options, reports)
    findings += _check("data.eval_dataset", split_names(recipe.data.eval_dataset), tokenizer, recipe, options, [])
    complete = reports and not any(item.is_partial for report in reports for item in report.datasets)
    if tokenizer is not None and complete and not any(found.severity == "error" for found in findings):
        rows = sum(report.rows_used for report in reports)
        held = 0 if recipe.data.eval_dataset else held_rows(rows, recipe.data.val_size)
        tokens = sum(report.tokens for report in reports)
        if held >= rows:
            findings.append(
                finding("val_size_too_large", "error", "data.val_size", val_size=recipe.data.val_size, rows=rows)
            )
        else:
            findings.append(finding("data_rows", "info", "data.dataset", train_rows=rows - held, tokens=tokens))
    return findings


def _tokenizer(recipe: Recipe, findings: list[Finding]) -> TextTokenizer | None:
    """The tokenizer with its chat template, or None and a finding that says why not."""
    key, name = "model.model_name_or_path", recipe.model.model_name_or_path
    if not name:
        return None
    try:
        _check_files(recipe)
        tokenizer = recipe_tokenizer(recipe)
    except UserError as error:
        if is_hub_id(name) and error.file is None:
            findings.append(finding("model_not_local", "info", key, model=name))
        else:
            findings.append(finding("model_unusable", "error", key, model=name, problem=str(error)))
        return None
    if tokenizer.template is None:
        problem = str(missing_template(tokenizer))
        findings.append(finding("model_no_template", "error", key, model=name, problem=problem))
        return None
    return tokenizer


def _check_files(recipe: Recipe) -> None:
    """Raises: UserError when the model is not there, or not whole."""
    model = recipe.model
    name = str(model.model_name_or_path)
    folder = find_model_folder(name, cache_dir=model.cache_dir, revision=model.model_revision)
    check_model_files(folder, weights_may_follow=is_hub_id(name))


def _check(
    key: str,
    names: tuple[str, ...],
    tokenizer: TextTokenizer | None,
    recipe: Recipe,
    options: PipelineOptions,
    reports: list[DataReport],
) -> list[Finding]:
    """Findings about the named data sets; one that cannot be read does not hide the others. Fills `reports`."""
    findings: list[Finding] = []
    readable = []
    for name in names:
        try:
            locate(name, options.dataset_dir)
        except UserError as error:
            findings.append(_unreadable(key, name, error))
        else:
            readable.append(name)
    for name in readable:
        try:
            report = encode_datasets((name,), tokenizer, options).report
        except UserError as error:
            findings.append(_unreadable(key, name, error))
        else:
            reports.append(report)
            named = name if len(names) > 1 else ""
            findings += report.findings(on_bad_row=recipe.data.on_bad_row, key=key, dataset=named)
    return findings


def _unreadable(key: str, name: str, error: UserError) -> Finding:
    problem = str(error).replace("dataset =", f"{key.removeprefix('data.')} =", 1)
    return finding("data_unreadable", "error", key, dataset=name, problem=problem)
