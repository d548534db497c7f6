"""The findings about data and model folder: their English texts, and how a report becomes findings.

The Chinese texts are in the catalogue under `findings.<id>`, with the same placeholders. `{rows:row|rows}`: see
`trainer.wording`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.config import Finding, Severity
from trainer.wording import filled

if TYPE_CHECKING:
    from trainer.data.report import BadRows, DataReport

FINDING_TEXTS: dict[str, str] = {
    "model_unusable": "{problem}",
    "adapter_unusable": "{problem}",
    "reference_model_missing": "ref_model = {given}: there is no such folder. Name a model folder, or a model of a hub",
    "reward_model_missing": "reward_model = {given}: there is no such folder. Name a checkpoint of stage rm",
    "reward_model_is_none": "reward_model = {given} is no reward model: name a checkpoint of stage rm",
    "reward_model_is_a_run": "reward_model = {given} is a run: name one of its checkpoints, such as {proposed}",
    "reward_model_is_whole": "reward_model = {given} holds whole weights and no adapter: set reward_model_type = full",
    "reward_model_is_a_service": "reward_model = {given} is an address, but reward_model_type is {kind}: set "
    "reward_model_type = api",
    "reward_model_has_labels": "reward_model = {given} gives {labels} numbers for an answer, and a reward model gives "
    "one: name a checkpoint of stage rm, or a classifier with one label",
    "model_no_template": "{problem}",
    "template_unknown": "{problem}",
    "model_not_local": "{model} is not on this machine: it will be downloaded at the start and checked then",
    "model_is_quantized": "{model} comes quantized ({method}): an adapter is trained on it as it is",
    "model_is_unpacked": "{model} comes quantized ({method}): it is unpacked, and an adapter trained on that",
    "model_quantized_needs_adapter": "{model} is quantized ({method}), and quantized weights cannot be trained with "
    "finetuning_type {finetuning_type}: choose lora, or the model in 16 bits",
    "model_quantized_twice": "{model} is quantized already ({method}): remove quantization_bit, or choose the model in "
    "16 bits",
    "model_code_unknown": "{model} brings its own code ({count} {count:file|files}), which can do all that you can do, "
    "and is not run without your consent: look at it with `trimtab trust {model}`",
    "model_code_changed": "the code of {model} ({count} {count:file|files}) is not the one that you agreed to before: "
    "look at it again with `trimtab trust {model}`",
    "model_code_off": "{model} needs its own code ({count} {count:file|files}), to which you have agreed: set "
    "trust_remote_code = true",
    "model_code_not_needed": "you have not agreed to the code of {model} ({count} {count:file|files}), and it is not "
    "needed: set trust_remote_code = false, or look at it with `trimtab trust {model}`",
    "model_code_elsewhere": "{model} takes code from another repository ({place}), which is not fetched: copy that "
    "code into a folder with the model, and take it out of its auto_map",
    "reward_file_unusable": "{problem}",
    "reward_file_unknown": "{file} would be run, which can do all that you can do, and is not without your consent: "
    "look at it with `trimtab trust {file}`",
    "reward_file_changed": "{file} is not the one that you agreed to before: look at it again with "
    "`trimtab trust {file}`",
    "model_large_for_memory": "{model} has {billions} billion parameters: its weights alone need about {needed} GB, "
    "and this machine has {memory} GB of memory and no GPU; choose a smaller model or a machine with a GPU",
    "model_slow_on_processor": "{model} has {billions} billion parameters and there is no GPU: training on the CPU "
    "will be very slow, and its weights alone need about {needed} GB of memory; choose a smaller model",
    "warmup_beyond_the_run": "warmup_steps = {warmup} is not shorter than the run, which has {steps} "
    "{steps:step|steps} with num_train_epochs: the learning rate would never be reached; set warmup_steps = {proposed}",
    "model_part_unknown": "{field} = {part}: no weight of the model has such a name; there is {known}",
    "freeze_layers_missing": "freeze_trainable_layers = {wanted}: the model has {layers} {layers:layer|layers}: "
    "expected a number from 1 to {layers}, or from -{layers} to -1",
    "badam_block_missing": "badam_start_block = {block}: expected a number from 0 to {last}",
    "data_unreadable": "{problem}",
    "data_bad_rows": "{places}: {example} ({count} of {rows} {rows:row|rows}). {hint}",
    "data_bad_rows_skipped": "{places}: {example} ({count} of {rows} {rows:row|rows} left out). {hint}",
    "data_no_rows": "{where}no row can be used ({rows} {rows:was|were} read)",
    "data_unlabelled_rows": "{where}{count} of {rows} {rows:row|rows} {count:has|have} nothing to learn and "
    "{count:is|are} left out",
    "data_all_masked_by_cutoff": "{where}all labels are masked: cutoff_len = {cutoff_len} ends before the answers "
    "begin (half of the rows have at most {median} tokens, 95 % at most {p95}); raise cutoff_len",
    "data_all_masked_by_flags": "{where}all labels are masked: every answer is marked train = false or weight = 0; "
    "mark one to be learned",
    "data_truncated": "{where}{count} of {rows} {rows:row|rows} {count:is|are} longer than cutoff_len = {cutoff_len} "
    "(longest: {maximum}) and {count:is|are} cut: {ends} {ends:answer loses its|answers lose their} end, "
    "{labels} {labels:token to learn is|tokens to learn are} lost",
    "data_dropped": "{where}{count} of {rows} {rows:row|rows} {count:is|are} longer than cutoff_len = {cutoff_len} "
    "(longest: {maximum}) and {count:is|are} left out",
    "data_too_long": "{where}{count} of {rows} {rows:row|rows} {count:is|are} longer than cutoff_len = {cutoff_len} "
    "(longest: {maximum}), and on_long_row = error: nothing is trained. Raise cutoff_len, or set on_long_row to "
    "truncate or drop",
    "data_kto_one_class": "{where}every row is marked {tag} ({count} {count:row|rows}): kto learns from both good "
    "and bad answers; add rows of the other kind",
    "data_endless": "the chat template ends answers without a special token: the model will not learn to stop",
    "data_typed_tokens": "{where}{count} of {rows} {rows:row|rows} {count:holds|hold} special tokens in the words "
    "themselves (the first: {example}): the tokenizer reads them as what they name, such as the end of a turn; unless "
    "that is meant, remove them or turn split_special_tokens on",
    "data_named_twice": "{names}: these are the same rows, and each is trained on {count} times; name them once unless "
    "that is meant",
    "data_duplicates": "{where}{count} of {rows} {rows:row|rows} {count:stands|stand} there more than once",
    "val_size_too_large": "val_size = {val_size} leaves no rows to train on (there {rows:is|are} {rows}): choose a "
    "smaller one",
    "data_rows": "{train_rows} {train_rows:row|rows} to train on, {tokens} tokens",
    "cutoff_above_model": "cutoff_len = {cutoff_len} is more than the {limit} tokens that the model was made for "
    "(longest row: {longest}): lower cutoff_len, or set rope_scaling",
    "cutoff_above_model_unreached": "cutoff_len = {cutoff_len} is more than the {limit} tokens that the model was made "
    "for; no row here is so long (longest: {longest}), but a longer one would do harm",
    "answers_above_model": "prompts of cutoff_len = {cutoff_len} tokens and answers of max_new_tokens = {answer} are "
    "together more than the {limit} tokens that the model was made for: lower one of them",
    "template_stop_words_unknown": "the template {template} ends answers with {words}, which this model's tokenizer "
    "does not have as a token: the model learns to write it out in pieces, and chat may not stop at it; choose the "
    "template that the model was made with, or add it with add_special_tokens",
    "data_partly_checked": "{dataset}: only the first {rows} {rows:row is|rows are} checked here, all of them at "
    "the start",
}


def finding(
    name: str, severity: Severity, *fields: str, change: Mapping[str, object] | None = None, **values: object
) -> Finding:
    """The finding of this name, its text filled in."""
    return Finding(name, severity, fields, filled(FINDING_TEXTS[name], values), values, dict(change or {}))


def report_findings(
    report: DataReport, *, on_bad_row: str = "stop", key: str = "data.dataset", dataset: str = ""
) -> list[Finding]:
    """What of a report the user should know before the training starts; `key` is the parameter that chose the rows.

    `dataset` is the one data set of several that the report is about.
    """
    where = f"{dataset}: " if dataset else ""
    found = [_bad_rows(item, report, on_bad_row, key) for item in report.bad]
    found += _nothing_to_learn(report, key, where)
    if report.rows_used:
        found += _quality(report, key, where)
    for item in report.datasets:
        if item.is_partial:
            found.append(finding("data_partly_checked", "info", key, dataset=item.name, rows=item.rows_read))
    return found


def all_masked(report: DataReport, key: str = "data.dataset", where: str = "") -> Finding:
    """The error when no row has anything to learn, with the likely cause; `where` begins its text."""
    if not report.unlabelled_by_cut:
        return finding("data_all_masked_by_flags", "error", key, where=where, rows=report.rows_read)
    lengths = report.lengths
    return finding(
        "data_all_masked_by_cutoff",
        "error",
        "data.cutoff_len",
        where=where,
        cutoff_len=report.cutoff_len,
        median=lengths.median,
        p95=lengths.p95,
        change={"data.cutoff_len": _round_up(lengths.p95)},
    )


def _bad_rows(item: BadRows, report: DataReport, on_bad_row: str, key: str) -> Finding:
    first = item.examples[0]
    stops = on_bad_row == "stop"
    return finding(
        "data_bad_rows" if stops else "data_bad_rows_skipped",
        "error" if stops else "warning",
        *((key, "data.on_bad_row") if stops else (key,)),
        change={"data.on_bad_row": "skip"} if stops else None,
        count=item.count,
        rows=report.rows_read,
        reason=item.reason,
        example=first.text,
        hint=first.hint,
        places=", ".join(str(row.source) for row in item.examples),
    )


def _nothing_to_learn(report: DataReport, key: str, where: str) -> Iterator[Finding]:
    if report.rows_used:
        if report.unlabelled:
            fields = (key, "data.cutoff_len")
            count, rows = report.unlabelled, report.rows_read
            yield finding("data_unlabelled_rows", "warning", *fields, where=where, count=count, rows=rows)
    elif report.unlabelled:
        yield all_masked(report, key, where)
    else:
        yield finding("data_no_rows", "error", key, where=where, rows=report.rows_read)


def _quality(report: DataReport, key: str, where: str) -> Iterator[Finding]:
    if report.dropped:
        yield _left_out(report, where)
    elif report.truncated:
        yield finding(
            "data_truncated",
            "warning",
            "data.cutoff_len",
            where=where,
            count=report.truncated,
            rows=report.rows_read,
            cutoff_len=report.cutoff_len,
            maximum=report.lengths.maximum,
            ends=report.ends_lost,
            labels=report.labels_lost,
            change={"data.cutoff_len": _round_up(report.lengths.maximum)},
        )
    if report.endless:
        yield finding("data_endless", "warning", "model.model_name_or_path", count=report.endless)
    if report.typed_tokens:
        yield finding(
            "data_typed_tokens",
            "warning",
            key,
            "model.split_special_tokens",
            change={"model.split_special_tokens": True},
            where=where,
            count=report.typed_tokens,
            rows=report.rows_read,
            example=str(report.typed_tokens_example),
        )
    if report.duplicates:
        count, rows = report.duplicates, report.rows_read
        yield finding("data_duplicates", "info", key, where=where, count=count, rows=rows)


def _left_out(report: DataReport, where: str) -> Finding:
    """Rows beyond `cutoff_len` that are not cut."""
    stops = report.on_long_row == "error"
    return finding(
        "data_too_long" if stops else "data_dropped",
        "error" if stops else "warning",
        "data.cutoff_len",
        "data.on_long_row",
        change={"data.cutoff_len": _round_up(report.lengths.maximum)},
        where=where,
        count=report.dropped,
        rows=report.rows_read,
        cutoff_len=report.cutoff_len,
        maximum=report.lengths.maximum,
    )


def one_class(report: DataReport, key: str = "data.dataset") -> list[Finding]:
    """Stage kto: an error when all rows of all data sets are of one class; a warning while not all were read."""
    if bool(report.desirable) == bool(report.undesirable):
        return []
    tag, count = ("true", report.desirable) if report.desirable else ("false", report.undesirable)
    severity: Severity = "warning" if any(item.is_partial for item in report.datasets) else "error"
    where = ", ".join(item.name for item in report.datasets)
    return [finding("data_kto_one_class", severity, key, where=f"{where}: ", count=count, tag=tag)]


def missing_stop_words(template: str, words: Sequence[str], added: Sequence[str] = ()) -> Finding:
    """The warning for a named template whose end of an answer is no token of the model; `added` are the special tokens
    that the recipe adds.
    """
    key = "model.add_special_tokens"
    change: dict[str, object] = {key: [*added, *words]}
    values = {"template": template, "words": ", ".join(words)}
    return finding("template_stop_words_unknown", "warning", "data.template", key, change=change, **values)


def _round_up(length: int) -> int:
    """A round cutoff that is not below `length`."""
    return max(64, -(-length // 64) * 64)
