"""Everything about model folder and data that can be known without torch, as findings. Not for what the recipe alone
tells (`trainer.config.check`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from trainer.config import Finding, Hardware, Recipe
from trainer.config.answering import steps_of_answers
from trainer.config.model_names import is_hub_name
from trainer.data.adapter_folder import with_found_adapters
from trainer.data.check import findings_of_all, nothing_left_by_val_size, read_sets
from trainer.data.dataset import held_rows
from trainer.data.encode import missing_template
from trainer.data.findings import finding
from trainer.data.model_files import check_model_files
from trainer.data.model_folder import find_model_folder, recipe_hub_model
from trainer.data.model_parts import unknown_parts
from trainer.data.model_quantization import stored_quantization_findings
from trainer.data.model_size import large_for_processor
from trainer.data.pipeline import PipelineOptions
from trainer.data.prepare import recipe_tokenizer
from trainer.data.python_file import reward_file_finding
from trainer.data.reference_model import reference_model_finding
from trainer.data.registry import split_names
from trainer.data.remote_code import code_finding
from trainer.data.reward_model import reward_model_finding
from trainer.data.templates import named_template
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError


def preflight(recipe: Recipe, *, limit_rows: int = 20_000, seconds: float = 1.5) -> list[Finding]:
    """What is wrong with the model folder, the data files, the rows and the labels, all at once.

    Reads the first `limit_rows` rows of each data set with the code that the trainer uses, for `seconds` at most. Needs
    no network, and raises nothing for the user's mistakes.
    """
    findings: list[Finding] = []
    try:
        recipe = with_found_adapters(recipe, download=False)
    except UserError as error:
        fields = ("model.adapter_name_or_path", "model.adapter_folder")
        findings.append(finding("adapter_unusable", "error", *fields, problem=str(error)))
    tokenizer = _tokenizer(recipe, findings)
    if tokenizer is not None:
        findings += stored_quantization_findings(recipe, tokenizer.folder)
        findings += unknown_parts(recipe, tokenizer.folder)
    if (of_file := reward_file_finding(recipe)) is not None:
        findings.append(of_file)
    findings += [
        found for found in (reward_model_finding(recipe), reference_model_finding(recipe)) if found is not None
    ]
    if not Hardware.detect().cuda:
        findings += large_for_processor(recipe)
    options = PipelineOptions.of(recipe, limit_rows=limit_rows).for_check(seconds)
    names, evaluation_names = split_names(recipe.data.dataset), split_names(recipe.data.eval_dataset)
    reports, of_rows = read_sets("data.dataset", names, tokenizer, recipe, options)
    findings += of_rows
    more, of_rows = read_sets("data.eval_dataset", evaluation_names, tokenizer, recipe, options)
    findings += of_rows
    if tokenizer is not None:
        findings += findings_of_all(recipe, tokenizer, [*reports, *more])
    complete = reports and not any(item.is_partial for report in reports for item in report.datasets)
    if tokenizer is not None and complete and not any(found.severity == "error" for found in findings):
        rows = sum(report.rows_used for report in reports)
        held = 0 if recipe.data.eval_dataset else held_rows(rows, recipe.data.val_size)
        # Rows are held back at random: their share of the tokens with them.
        tokens = round(sum(report.tokens for report in reports) * (rows - held) / max(1, rows))
        longest = max((length for report in reports for length in report.used_by_length), default=0)
        summary = finding("data_rows", "info", "data.dataset", train_rows=rows - held, tokens=tokens, longest=longest)
        findings += nothing_left_by_val_size(recipe, reports) or [summary]
        findings += _warmup_beyond_the_run(recipe, rows - held)
    return findings


def _warmup_beyond_the_run(recipe: Recipe, rows: int) -> Iterator[Finding]:
    """An error for a warmup that ends after the epochs do; without `max_steps` only the data tell how long they are."""
    train, data = recipe.train, recipe.data
    if train.max_steps > 0 or data.packing or data.neat_packing or recipe.method.stage == "pt":
        return
    rows_of_step = train.per_device_train_batch_size * train.gradient_accumulation_steps
    an_epoch = steps_of_answers(recipe, rows)
    if an_epoch is None:
        an_epoch = math.ceil(rows / (rows_of_step * max(1, Hardware.detect().gpu_count)))
    steps = math.ceil(an_epoch * train.num_train_epochs)
    if 0 < steps <= train.warmup_steps:
        key, proposed = "train.warmup_steps", steps // 10
        values = {"warmup": train.warmup_steps, "steps": steps, "proposed": proposed}
        fields = (key, "train.num_train_epochs")
        yield finding("warmup_beyond_the_run", "error", *fields, change={key: proposed}, **values)


def _tokenizer(recipe: Recipe, findings: list[Finding]) -> TextTokenizer | None:
    """The tokenizer with its chat template, or None and a finding that says why not."""
    key, name = "model.model_name_or_path", recipe.model.model_name_or_path
    if recipe.data.template is not None:
        try:
            named_template(recipe.data.template, tool_format=recipe.data.tool_format)
        except UserError as error:
            findings.append(finding("template_unknown", "error", f"data.{error.field}", problem=str(error)))
            return None
    if not name:
        return None
    try:
        folder = _checked_folder(recipe)
        address = str(recipe_hub_model(recipe) or name)
        if (code := code_finding(folder, name=address, trust=recipe.model.trust_remote_code)) is not None:
            findings.append(code)
        tokenizer = recipe_tokenizer(recipe)
    except UserError as error:
        if is_hub_name(name) and error.file is None:
            findings.append(finding("model_not_local", "info", key, model=name))
        else:
            findings.append(finding("model_unusable", "error", key, model=name, problem=str(error)))
        return None
    if tokenizer.template is None and recipe.method.stage != "pt":
        problem = str(missing_template(tokenizer))
        findings.append(finding("model_no_template", "error", key, model=name, problem=problem))
        return None
    return tokenizer


def _checked_folder(recipe: Recipe) -> Path:
    """The folder of the model. Raises: UserError when it is not there, or not whole."""
    model = recipe.model
    name = str(model.model_name_or_path)
    folder = find_model_folder(name, cache_dir=model.cache_dir, revision=model.model_revision, hub=model.model_hub)
    check_model_files(folder, weights_may_follow=is_hub_name(name))
    return folder
