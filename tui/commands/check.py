"""`trimtab check`, and the examination that every start of a run goes through: the preset, the rules, the data."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from trainer.config import Choice, Finding, Hardware, Preset, PresetErrors, Resolved, load_preset, resolve
from trainer.config import check as check_rules
from trainer.config.parameter import find_parameter
from trainer.config.pipeline import pipeline_file
from trainer.config.toml_text import toml_text
from trainer.errors import UserError
from tui.commands import output
from tui.forms.entry import shown_text
from tui.locale import text
from tui.localized import localized

_COLOURS = {"error": "red", "warning": "yellow", "info": "dim"}
# Rows of each data set that are looked at, so that the answer comes in about two seconds.
LIMIT_ROWS = 20_000
SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Examined:
    """What was found about a preset; `resolved` has the automatic values.

    With errors in the preset itself it is judged without them; None where too little of it can be read.
    """

    preset: Preset | None
    resolved: Resolved | None
    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether a run may start from it."""
        return all(finding.severity != "error" for finding in self.findings)


@dataclass(frozen=True)
class Size:
    """What there is to train; None where it is not known. Not `complete`: there are more rows than were looked at."""

    rows: int | None = None
    tokens: int | None = None
    steps: int | None = None
    complete: bool = False


def examine(name: str, settings: Sequence[str]) -> Examined:
    """Load a preset and find everything that can be known before the start, in about two seconds and without torch.

    What is wrong with the preset or with a `key=value` word is among the findings.
    """
    preset, refused = _read(name, settings)
    return Examined(None, None, refused) if preset is None else examine_preset(preset, refused)


def examine_preset(preset: Preset, refused: Sequence[Finding] = ()) -> Examined:
    """What is to be said about a preset that was read; `refused` are the mistakes that were found on the way."""
    from trainer.data import preflight

    hardware = Hardware.detect()
    findings = [*check_rules(preset.recipe, hardware), *preflight(preset.recipe, limit_rows=LIMIT_ROWS)]
    # About a value that could not be read there is nothing more to say: its default stands in for it here.
    unread = {field for finding in refused for field in finding.fields}
    findings = [*refused, *(finding for finding in findings if not unread.intersection(finding.fields))]
    findings += preset.findings
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Examined(preset, resolve(preset.recipe, hardware), tuple(findings))


def _read(name: str, settings: Sequence[str]) -> tuple[Preset | None, tuple[Finding, ...]]:
    """The preset, as far as it can be read, and its mistakes."""
    try:
        return load_preset(name, settings), ()
    except PresetErrors as error:
        return error.readable, tuple(_refused(problem) for problem in error.problems)
    except UserError as error:
        return None, (_refused(error),)


def _refused(problem: UserError) -> Finding:
    known = problem.field is not None and find_parameter(problem.field) is not None
    return Finding("refused", "error", (str(problem.field),) if known else (), str(problem))


def is_told_at_start(finding: Finding) -> bool:
    """Whether who starts a run reads it: what is wrong, and all that was made of a LLaMA-Factory file."""
    return finding.severity != "info" or finding.id.startswith("import_")


def print_findings(findings: Sequence[Finding], *, to_errors: bool = False) -> None:
    """One line a finding: what is wrong, and the change that mends it."""
    for finding in findings:
        label = text(f"command_line.severity_{finding.severity}")
        if not to_errors:
            label = output.paint(label, _COLOURS[finding.severity])
        print(f"{label}: {finding_line(finding)}", file=sys.stderr if to_errors else sys.stdout)


def finding_line(finding: Finding) -> str:
    """A finding's text in one line, with the proposed change as `key=value` words."""
    line = output.harmless(" ".join(localized(finding.id, finding.values, finding.text).split()))
    if not finding.change:
        return line
    words = " ".join(shlex.quote(f"{key}={_word(value)}") for key, value in finding.change.items())
    return f"{line} {text('command_line.proposed', words=words)}"


def _word(value: object) -> str:
    return "unset" if value is None else toml_text(value)


def check(arguments: Namespace) -> int:
    """Print all findings at once, then what there is to train; exit 1 when an error is among the findings."""
    if (file := pipeline_file(arguments.preset)) is not None:
        from tui.commands.pipeline_check import check_pipeline

        return check_pipeline(file, arguments.settings, as_json=arguments.json)
    examined = examine(arguments.preset, arguments.settings)
    findings, good = examined.findings, examined.good
    chosen: dict[str, Choice] = {} if examined.resolved is None else examined.resolved.chosen
    size = measure(examined.preset, findings) if good and examined.preset is not None else Size()
    if arguments.json:
        automatic = {key: {"value": choice.value, "reason": choice.reason} for key, choice in chosen.items()}
        report = {"preset": arguments.preset, "ok": good, **asdict(size), "automatic": automatic}
        output.print_json({**report, "findings": [json_of_finding(finding) for finding in findings]})
        return 0 if good else 1
    for key, choice in chosen.items():
        line = text("command_line.automatic", key=key, value=shown_text(choice.value), reason=choice.reason)
        print(output.paint(line, "dim"))
    print_findings(findings)
    print_summary(arguments.preset, findings, size, good=good)
    return 0 if good else 1


def measure(preset: Preset, findings: Sequence[Finding]) -> Size:
    """Rows, tokens and steps of a preset in which no error was found, from what the preflight counted."""
    from tui.forms.model import FormModel
    from tui.forms.summary import plan

    counted = next((finding.values for finding in findings if finding.id == "data_rows"), None)
    rows = None if counted is None else int(str(counted["train_rows"]))
    tokens = None if counted is None else int(str(counted["tokens"]))
    steps = plan(FormModel(Hardware.detect(), preset), rows).steps
    return Size(rows, tokens, steps, complete=counted is not None)


def print_summary(name: str, findings: Sequence[Finding], size: Size, *, good: bool) -> None:
    """What there is to train, and whether it can be."""
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    if not good:
        print(text("command_line.check_bad", errors=errors, warnings=warnings))
        return
    if size.rows is not None:
        rows, tokens, steps = (
            f"{value:,}" if value is not None else "?" for value in (size.rows, size.tokens, size.steps)
        )
        print(text("command_line.check_size", rows=rows, tokens=tokens, steps=steps))
    print(text("command_line.check_good", name=name, warnings=warnings))


def json_of_finding(finding: Finding) -> dict[str, object]:
    """The stable JSON form."""
    return {
        "id": finding.id,
        "severity": finding.severity,
        "fields": list(finding.fields),
        "text": finding.text,
        "values": finding.values,
        "change": finding.change,
    }
