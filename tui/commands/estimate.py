"""`trimtab estimate`: will the training fit into memory and on the disk, how long will it take, and what would make it
fit.

The estimate needs torch, so a worker makes it (`python -m trainer estimate`). Not for measuring (`probe`).
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tomlkit

from trainer.config import Finding, Hardware, Recipe, load_preset, resolve
from trainer.config.form import IN_ANSWERING
from trainer.config.pipeline import pipeline_file
from trainer.config.toml_text import toml_text
from trainer.data import preflight
from tui.commands import output
from tui.commands.worker import ask_worker
from tui.forms.explain import finding_text
from tui.forms.outlook import PARTS, Forecast, Outlook, forecast, outlook
from tui.forms.preflight import DataSize, size_of_findings
from tui.forms.summary import RunPlan, plan_of
from tui.locale import text
from tui.widgets.measures import count, duration, size

_COLOURS = {"fits": "green", "tight": "yellow", "no": "red", "unknown": "dim"}
_BAR = 30
_GIBI = 2**30


def estimate(arguments: Namespace) -> int:
    """Print memory by part, verdict, steps, disk, time and price; exit 1 when it does not fit."""
    if (file := pipeline_file(arguments.preset)) is not None:
        from tui.commands.pipeline_check import estimate_pipeline

        return estimate_pipeline(file, arguments.settings, as_json=arguments.json)
    recipe = resolve(load_preset(arguments.preset, arguments.settings).recipe, Hardware.detect()).recipe
    told = estimate_recipe(recipe)
    if arguments.json:
        output.print_json(told.to_json())
    else:
        print_estimate(told)
    return 0 if told.fits else 1


@dataclass(frozen=True)
class Estimated:
    """All that is known of a resolved recipe before its start."""

    found: Mapping[str, Any]
    """The worker's answer."""
    seen: Outlook
    planned: RunPlan
    data: DataSize
    told: Forecast
    unread: str
    """Why the rows are not known; empty when they are."""

    @property
    def fits(self) -> bool:
        """Whether it does, as far as can be known."""
        return self.seen.verdict != "no"

    def to_json(self) -> dict[str, object]:
        """The stable JSON form."""
        return {**self.found, **_forecast_json(self.planned, self.data, self.told)}


def estimate_recipe(recipe: Recipe) -> Estimated:
    """Ask for everything about a resolved recipe.

    Raises:
        UserError: the worker refused; its own words.
    """
    findings = preflight(recipe)
    data = size_of_findings(findings)
    found = ask_estimate(recipe, data.longest)
    seen = outlook(found)
    planned = plan_of(recipe, data.rows, data.tokens)
    told = forecast(planned, seen, recipe.train.price_per_hour)
    return Estimated(found, seen, planned, data, told, _unread(findings, data))


def print_estimate(estimated: Estimated) -> None:
    """Memory by part and verdict, then steps, disk, time and price."""
    _print_memory(estimated.seen)
    _print_forecast(estimated.planned, estimated.seen, estimated.told, estimated.unread)


def ask_estimate(recipe: Recipe, longest_row: int | None) -> dict[str, Any]:
    """The worker's answer for a resolved recipe.

    Raises:
        UserError: the worker refused; its own words.
    """
    asked: dict[str, Any] = recipe.model_dump(mode="json", exclude_none=True)
    if longest_row is not None:
        asked = {"longest_row": longest_row, **asked}
    return ask_worker("estimate", tomlkit.dumps(asked), "estimate.failed")


def _forecast_json(planned: RunPlan, data: DataSize, told: Forecast) -> Mapping[str, object]:
    return {
        "rows": data.rows,
        "longest_row": data.longest,
        "tokens_per_epoch": planned.tokens_per_epoch,
        "tokens": planned.tokens,
        "steps": planned.steps,
        "epochs": planned.epochs,
        "saves": planned.saves,
        "disk": told.disk,
        "seconds": told.seconds,
        "price": told.price,
    }


def _print_memory(seen: Outlook) -> None:
    print(text("estimate.step", batch=seen.batch, length=seen.length, layers=seen.layers))
    scale = max(seen.total, seen.device.free or 0)
    facts = output.Facts()
    for part in PARTS:
        if seen.parts[part] or part not in ("update", "evaluation"):
            facts.add(text(f"estimate.{part}"), _line(seen.parts[part], scale))
    facts.add(text("estimate.total"), _line(seen.total, scale))
    free = seen.device.free
    room = text("estimate.unknown_free") if free is None else _line(free, scale)
    facts.add(text("estimate.free", device=seen.device.name), room)
    if seen.device.used is not None and seen.device.is_gpu:
        facts.add(text("estimate.others_use"), _line(seen.device.used, scale))
    facts.print()
    for other in seen.others:
        print(text("estimate.other_gpu", index=other.index, device=other.name, free=size(other.free)))
    if seen.is_formula:
        print(text("estimate.by_formula"))
    if seen.stage in IN_ANSWERING.values:
        print(text("estimate.stage_note", stage=seen.stage))
    print(output.paint(text(f"estimate.verdict_{seen.verdict}"), _COLOURS[seen.verdict]))
    for way in seen.ways_out:
        words = " ".join(f"{key}={toml_text(value)}" for key, value in way.change.items())
        print(text("estimate.saving" if way.fits else "estimate.saving_not_enough", words=words, size=_gib(way.total)))
    if seen.verdict == "no" and not seen.ways_out:
        print(text("estimate.no_way"))


def _unread(findings: Sequence[Finding], data: DataSize) -> str:
    """Why the rows are not known; empty when they are."""
    if data.rows is not None:
        return ""
    problem = next((finding_text(each) for each in findings if each.severity == "error"), "")
    return text("estimate.rows_unknown", problem=problem) if problem else text("setup.plan_unknown")


def _print_forecast(planned: RunPlan, seen: Outlook, told: Forecast, unread: str) -> None:
    facts = output.Facts()
    if unread:
        facts.add(text("setup.plan_rows"), unread)
    if planned.steps is not None:
        facts.add(text("setup.plan_steps"), count(planned.steps))
    if planned.tokens is not None:
        each = "-" if planned.tokens_per_epoch is None else count(planned.tokens_per_epoch)
        facts.add(text("estimate.tokens"), text("estimate.tokens_of", tokens=count(planned.tokens), epoch=each))
    facts.add(text("estimate.checkpoint"), size(seen.checkpoint))
    if told.disk is not None and seen.disk_free is not None:
        facts.add(text("estimate.disk"), text("estimate.disk_of", need=size(told.disk), free=size(seen.disk_free)))
    if told.seconds is None:
        if seen.tokens_per_second is None:
            facts.add(text("estimate.time"), text("estimate.speed_unknown"))
    else:
        key = "estimate.time_after" if seen.speed_is_exact else "estimate.time_about"
        facts.add(text("estimate.time"), text(key, time=duration(told.seconds), run=seen.speed_of))
    if told.price is not None:
        facts.add(text("estimate.price"), f"{told.price:,.2f}")
    facts.print()
    if told.disk is not None and seen.disk_free is not None and told.disk > seen.disk_free:
        print(output.paint(text("estimate.disk_short"), "red"))


def _line(amount: int, scale: int) -> str:
    return f"{_gib(amount)} {'█' * round(_BAR * amount / scale) if scale else ''}".rstrip()


def _gib(amount: int) -> str:
    return f"{amount / _GIBI:8.2f} GiB"
