"""Data sets read to their end with the trainer's own code, for the report. Not for model folders (`preflight`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from trainer.config import Finding, Recipe, check
from trainer.data.dataset import held_rows
from trainer.data.encode import missing_template
from trainer.data.findings import finding, missing_stop_words, one_class
from trainer.data.model_limits import answers_too_long_for_model, too_long_for_model
from trainer.data.pipeline import PipelineOptions, Progress, encode_datasets, locate
from trainer.data.prepare import recipe_tokenizer
from trainer.data.registry import split_names
from trainer.data.report import DataReport
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError

SetProgress = Callable[[str, int, int | None], None]
"""Called with the name of the data set, its rows done, and the rows that it has, if that is known."""


@dataclass(frozen=True)
class CheckedData:
    """What a check of data sets found."""

    report: DataReport
    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether a training on these rows may start."""
        return self.report.rows_used > 0 and all(found.severity != "error" for found in self.findings)


def check_data(recipe: Recipe, names: Sequence[str] | None = None, progress: SetProgress | None = None) -> CheckedData:
    """Reads, converts, renders and tokenizes all rows of the named data sets (else of the recipe's) and reports.

    Raises: UserError when no data set is chosen, or model and template cannot be used.
    """
    chosen = split_names(recipe.data.dataset) if names is None else tuple(names)
    if not chosen:
        raise UserError("no data set is chosen", field="dataset", hint="Name one, or set dataset in the preset")
    tokenizer = data_tokenizer(recipe)
    options = PipelineOptions.of(recipe).for_report()
    reports, findings = read_sets("data.dataset", chosen, tokenizer, recipe, options, progress)
    findings += findings_of_all(recipe, tokenizer, reports)
    findings += rules_about_data(recipe.with_values({"data.dataset": list(chosen)}))
    if len(reports) == len(chosen):
        findings += nothing_left_by_val_size(recipe, reports)
    return CheckedData(DataReport.together(reports), tuple(findings))


def data_tokenizer(recipe: Recipe) -> TextTokenizer:
    """The tokenizer of the recipe's model, with its chat template if the stage needs one.

    Raises: UserError when either is not there.
    """
    tokenizer = recipe_tokenizer(recipe)
    if tokenizer.template is None and recipe.method.stage != "pt":
        raise missing_template(tokenizer)
    return tokenizer


def findings_at_start(recipe: Recipe, report: DataReport) -> list[Finding]:
    """What a run tells of the rows that it begins with.

    Raises: UserError when the model's tokenizer is gone.
    """
    found = report.findings(on_bad_row=recipe.data.on_bad_row)
    return [*found, *findings_of_all(recipe, recipe_tokenizer(recipe), [report])]


def rules_about_data(recipe: Recipe) -> list[Finding]:
    """What is wrong with the settings of `[data]` whatever the model, the method and the training are."""
    return [found for found in check(recipe) if all(field.startswith("data.") for field in found.fields)]


def nothing_left_by_val_size(recipe: Recipe, reports: Sequence[DataReport]) -> list[Finding]:
    """An error when `val_size` holds back every row; `reports` are of all rows to train on."""
    size, rows = recipe.data.val_size, sum(report.rows_used for report in reports)
    if recipe.data.eval_dataset or not rows or held_rows(rows, size) < rows:
        return []
    return [finding("val_size_too_large", "error", "data.val_size", val_size=size, rows=rows)]


def findings_of_all(recipe: Recipe, tokenizer: TextTokenizer, reports: Sequence[DataReport]) -> list[Finding]:
    """What shows only over all rows, and what does not fit between them and the model."""
    whole = DataReport.together(reports)
    found = one_class(whole)
    all_read = not any(item.is_partial for item in whole.datasets)
    found += too_long_for_model(recipe, tokenizer.folder, whole.lengths.maximum, all_read=all_read)
    found += answers_too_long_for_model(recipe, tokenizer.folder)
    template = tokenizer.template
    if template is not None and template.name is not None and tokenizer.missing_stop_words:
        added = recipe.model.add_special_tokens
        found.append(missing_stop_words(template.name, tokenizer.missing_stop_words, added))
    return found


def read_sets(
    key: str,
    names: Sequence[str],
    tokenizer: TextTokenizer | None,
    recipe: Recipe,
    options: PipelineOptions,
    progress: SetProgress | None = None,
) -> tuple[list[DataReport], list[Finding]]:
    """A report and the findings of each data set; one that cannot be read is a finding and does not hide the others.

    `key` is the parameter that names the data sets.
    """
    reports: list[DataReport] = []
    findings: list[Finding] = []
    for name in names:
        try:
            locate(name, options.dataset_dir)
            report = encode_datasets((name,), tokenizer, options, _progress_of(name, progress)).report
        except UserError as error:
            findings.append(_unreadable(key, name, error))
        else:
            reports.append(report)
            named = name if len(names) > 1 else ""
            findings += report.findings(on_bad_row=recipe.data.on_bad_row, key=key, dataset=named)
    return reports, findings + _named_twice(key, reports)


def _named_twice(key: str, reports: Sequence[DataReport]) -> list[Finding]:
    """A warning for each data set that is named more than once, be it under several names."""
    meant: dict[object, list[str]] = {}
    for item in chain.from_iterable(report.datasets for report in reports):
        meant.setdefault((item.format, *(Path(file).resolve() for file in item.files)), []).append(item.name)
    found = [same for same in meant.values() if len(same) > 1]
    return [finding("data_named_twice", "warning", key, names=", ".join(same), count=len(same)) for same in found]


def _progress_of(name: str, progress: SetProgress | None) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(name, done, total)


def _unreadable(key: str, name: str, error: UserError) -> Finding:
    problem = str(error).replace("dataset =", f"{key.removeprefix('data.')} =", 1)
    return finding("data_unreadable", "error", key, dataset=name, problem=problem)
