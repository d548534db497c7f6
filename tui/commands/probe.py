"""`trimtab probe`: three real steps of a run on this machine, for its speed and its memory; nothing stays behind.

The run is a real one in a temporary folder: the same data, model and trainer. Not for estimates (`estimate`).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from argparse import Namespace
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainer.config import Hardware, Recipe, load_preset, resolve
from trainer.data import preflight
from trainer.errors import UserError
from trainer.run import (
    EndEvent,
    FindingEvent,
    MetricsEvent,
    Record,
    RunDirectory,
    create_run,
    launch,
    read_events,
)
from tui.commands import output
from tui.forms.preflight import size_of_findings
from tui.forms.summary import plan_of
from tui.locale import text
from tui.localized import localized
from tui.widgets.measures import count, duration

STEPS = 3
_POLL_SECONDS = 0.2
# What would write, evaluate or report between the steps is left out.
_QUIET = {
    "train.logging_steps": 1,
    "train.save_strategy": "no",
    "train.eval_strategy": "no",
    "train.do_eval": False,
    "train.do_predict": False,
    "train.predict_with_generate": False,
    "train.load_best_model_at_end": False,
    "train.metric_for_best_model": None,
    "train.greater_is_better": None,
    "train.sample_prompts": [],
    "train.push_to_hub": False,
    "train.report_to": ["none"],
    "train.run_name": None,
    "train.output_dir": None,
    "train.resume_from_checkpoint": None,
    "method.early_stopping_steps": None,
    "train.telemetry_seconds": 1.0,
}


@dataclass(frozen=True)
class Probe:
    """What the steps came to."""

    steps: int
    step_seconds: float
    tokens_per_second: float
    memory: str
    """The run's own words about its peak."""
    memory_bytes: int | None


def probe(arguments: Namespace) -> int:
    """Run the steps, print what they took and what the whole run would; exit 1 when the run fails before."""
    resolved = resolve(load_preset(arguments.preset, arguments.settings).recipe, Hardware.detect())
    measured = _measure(resolved.recipe)
    recipe = resolved.recipe
    data = size_of_findings(preflight(recipe))
    planned = plan_of(recipe, data.rows, data.tokens)
    seconds = _seconds(planned.tokens, planned.steps, measured)
    price = recipe.train.price_per_hour
    cost = None if seconds is None or price is None else seconds / 3600 * price
    if arguments.json:
        output.print_json(
            {
                "steps": measured.steps,
                "step_seconds": measured.step_seconds,
                "tokens_per_second": measured.tokens_per_second,
                "memory": measured.memory_bytes,
                "total_steps": planned.steps,
                "seconds": seconds,
                "price": cost,
            }
        )
        return 0
    facts = output.Facts()
    facts.add(
        text("probe.step"), text("probe.step_words", seconds=f"{measured.step_seconds:.2f}", steps=measured.steps)
    )
    facts.add(text("probe.speed"), text("probe.speed_words", tokens=count(measured.tokens_per_second)))
    facts.add(text("probe.memory"), measured.memory)
    whole = text("estimate.speed_unknown") if seconds is None else duration(seconds)
    steps = "-" if planned.steps is None else count(planned.steps)
    facts.add(text("probe.whole"), text("probe.whole_words", time=whole, steps=steps))
    if cost is not None:
        facts.add(text("estimate.price"), f"{cost:,.2f}")
    facts.print()
    return 0


def _seconds(tokens: int | None, steps: int | None, measured: Probe) -> float | None:
    if steps is not None:
        return steps * measured.step_seconds
    return None if tokens is None else tokens / measured.tokens_per_second


def _measure(recipe: Recipe) -> Probe:
    """Raises: UserError when the run fails before its steps are done; its own words."""
    quiet = recipe.with_values({key: value for key, value in _QUIET.items() if recipe.value(key) != value})
    folder = Path(tempfile.mkdtemp(prefix="trimtab-probe-"))
    run: RunDirectory | None = None
    try:
        run = create_run("probe", resolve(quiet, Hardware.detect()), name="probe", folder=folder)
        launch(run)
        records = _follow(run)
    finally:
        if run is not None:
            _end(run)
        shutil.rmtree(folder, ignore_errors=True)
    return _probe_of(records)


def _follow(run: RunDirectory) -> list[Record]:
    """All events up to the end; the run is told to end, without saving, as soon as enough steps are done."""
    told = False
    shown = 0
    while True:
        records = list(read_events(run))
        steps = sum(isinstance(record.event, MetricsEvent) for record in records)
        if shown < steps <= STEPS + 1:
            shown = steps
            print(text("probe.going", step=steps, steps=STEPS + 1), file=sys.stderr)
        if steps > STEPS and not told:
            told = True
            run.send("stop", save=False)
        if any(isinstance(record.event, EndEvent) for record in records) or not run.state().alive:
            return list(read_events(run))
        time.sleep(_POLL_SECONDS)


def _end(run: RunDirectory) -> None:
    """Nothing may be left that writes into the folder."""
    with suppress(UserError, OSError):
        if run.state().alive:
            run.send("stop", save=False)
            for _ in range(50):
                if not run.state().alive:
                    break
                time.sleep(_POLL_SECONDS)


def _probe_of(records: list[Record]) -> Probe:
    points = [record for record in records if isinstance(record.event, MetricsEvent)][: STEPS + 1]
    if len(points) < 2:
        ended = next((record.event for record in records if isinstance(record.event, EndEvent)), None)
        why = "" if ended is None else localized(ended.id, ended.values, ended.text)
        raise UserError(text("probe.failed", problem=why or text("probe.no_word")))
    # The first step warms up: memory is found, kernels are chosen.
    first, last = points[0], points[-1]
    steps = len(points) - 1
    seconds = max(1e-9, last.monotonic - first.monotonic)
    tokens = _tokens(last) - _tokens(first)
    peak = next(
        (
            record.event
            for record in records
            if isinstance(record.event, FindingEvent) and record.event.id.startswith("run_memory_peak")
        ),
        None,
    )
    return Probe(
        steps=steps,
        step_seconds=seconds / steps,
        tokens_per_second=tokens / seconds,
        memory="-" if peak is None else localized(peak.id, peak.values, peak.text),
        memory_bytes=None if peak is None else int(peak.values["bytes"]),
    )


def _tokens(record: Record) -> float:
    assert isinstance(record.event, MetricsEvent)
    return record.event.values.get("tokens", 0.0)
