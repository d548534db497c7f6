"""`trimtab check` and `estimate` of a pipeline: every part as it will be, before anything of it is there.

A part whose start is not there yet is judged with what the part before it starts from. Not for starting (`pipeline`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trainer.config import Hardware, resolve
from trainer.config.pipeline import Part, read_pipeline
from trainer.errors import UserError
from tui.commands import output
from tui.commands.check import (
    Examined,
    Size,
    examine_preset,
    is_told_at_start,
    json_of_finding,
    measure,
    print_findings,
    print_summary,
)
from tui.forms.parts_ahead import PartAhead, parts_ahead
from tui.locale import text
from tui.widgets.measures import duration, size


@dataclass(frozen=True)
class ExaminedPart:
    """One part with what was found about it."""

    ahead: PartAhead
    examined: Examined

    @property
    def good(self) -> bool:
        """Whether it may start."""
        return not self.ahead.problem and self.examined.good


def examine_parts(parts: Sequence[Part]) -> list[ExaminedPart]:
    """Find everything about every part that can be known before the first one starts; about two seconds each."""
    found = []
    for ahead in parts_ahead(parts):
        preset = ahead.preset
        examined = Examined(None, None, ()) if preset is None else examine_preset(preset)
        found.append(ExaminedPart(ahead, replace(examined, findings=ahead.that_hold(examined.findings))))
    return found


def print_parts(examined: Sequence[ExaminedPart], *, at_start: bool = False) -> None:
    """Each part with its findings; at the start only what is wrong."""
    for each in examined:
        findings = [one for one in each.examined.findings if not at_start or is_told_at_start(one)]
        if at_start and not findings and not each.ahead.problem:
            continue
        print(output.paint(each.ahead.heading, "bold"), file=sys.stderr if at_start else sys.stdout)
        if each.ahead.problem:
            print(
                output.harmless(text("command_line.error", message=each.ahead.problem)),
                file=sys.stderr if at_start else sys.stdout,
            )
        if each.ahead.note and not at_start:
            print(output.paint(output.harmless(each.ahead.note), "dim"))
        print_findings(findings, to_errors=at_start)
        if not at_start and not each.ahead.problem:
            print_summary(each.ahead.part.name, findings, _size(each), good=each.good)


def check_pipeline(file: Path, settings: Sequence[str], *, as_json: bool) -> int:
    """Print all findings of all parts; exit 1 when an error is among them."""
    examined = examine_parts(read_pipeline(file, settings))
    good = all(each.good for each in examined)
    if as_json:
        output.print_json({"pipeline": str(file), "ok": good, "parts": [_json(each) for each in examined]})
        return 0 if good else 1
    print_parts(examined)
    severities = [finding.severity for each in examined for finding in each.examined.findings]
    errors = severities.count("error") + sum(bool(each.ahead.problem) for each in examined)
    warnings = severities.count("warning")
    print(text("pipeline.checked", name=file.stem, count=len(examined), errors=errors, warnings=warnings))
    return 0 if good else 1


def _size(each: ExaminedPart) -> Size:
    preset = each.examined.preset
    return measure(preset, each.examined.findings) if each.good and preset is not None else Size()


def _json(each: ExaminedPart) -> dict[str, object]:
    return {
        "name": each.ahead.part.name,
        "stage": each.ahead.part.recipe.method.stage,
        "ok": each.good,
        "needs": list(each.ahead.needs),
        "problem": each.ahead.problem,
        **asdict(_size(each)),
        "findings": [json_of_finding(finding) for finding in each.examined.findings],
    }


def estimate_pipeline(file: Path, settings: Sequence[str], *, as_json: bool) -> int:
    """Print the estimate of every part, then what all take together; exit 1 when one does not fit."""
    from tui.commands.estimate import Estimated, estimate_recipe, print_estimate

    parts = read_pipeline(file, settings)
    found: list[Estimated] = []
    for ahead in parts_ahead(parts):
        if ahead.recipe is None:
            raise UserError(ahead.problem)
        if not as_json:
            print(output.paint(ahead.heading, "bold"))
            if ahead.note:
                print(output.paint(output.harmless(ahead.note), "dim"))
        found.append(estimate_recipe(resolve(ahead.recipe, Hardware.detect()).recipe))
        if not as_json:
            print_estimate(found[-1])
            print()
    good = all(each.fits for each in found)
    if as_json:
        told = [{"name": part.name, **each.to_json()} for part, each in zip(parts, found, strict=True)]
        output.print_json({"pipeline": str(file), "fits": good, "parts": told})
        return 0 if good else 1
    print(output.paint(text("pipeline.total"), "bold"))
    facts = output.Facts()
    largest = max(range(len(parts)), key=lambda place: found[place].seen.total)
    facts.add(text("pipeline.largest"), f"{parts[largest].name}, {size(found[largest].seen.total)}")
    disks = [each.told.disk for each in found]
    if all(disk is not None for disk in disks):
        facts.add(text("estimate.disk"), size(sum(disk or 0 for disk in disks)))
    seconds = [each.told.seconds for each in found]
    if all(each is not None for each in seconds):
        facts.add(text("estimate.time"), duration(sum(each or 0.0 for each in seconds)))
    prices = [each.told.price for each in found if each.told.price is not None]
    if prices and len(prices) == len(found):
        facts.add(text("estimate.price"), f"{sum(prices):,.2f}")
    facts.print()
    if good:
        print(output.paint(text("pipeline.fits"), "green"))
    else:
        names = ", ".join(part.name for part, each in zip(parts, found, strict=True) if not each.fits)
        print(output.paint(text("pipeline.does_not_fit", parts=names), "red"))
    return 0 if good else 1
