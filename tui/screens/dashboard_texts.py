"""What the dashboard says: events, samples, findings, banners and empty states as rows of text. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len

from trainer.config.tables.names import ANSWER_SCORES
from tui import run_recipe
from tui.chart_painter import mark_letter
from tui.locale import find, text
from tui.localized import localized
from tui.pipeline_texts import long_standing, standing_note
from tui.stage_curves import curve_title, curves_of, main_curve, stage_curves
from tui.widgets import measures
from tui.widgets.axes import value_text
from tui.widgets.pane import Row
from tui.widgets.state_words import STATE_ROLES, state_word

if TYPE_CHECKING:
    from trainer.run import EndEvent, FindingEvent, Mark, RunDirectory, SampleEvent
    from tui.run_feed import RunSnapshot

_SEVERITY_ROLES = {"error": "error", "warning": "warning", "info": "secondary"}
_MARK_ROLES = {"checkpoint": "success", "resume": "accent", "command": "accent", "finding": "warning", "nan": "error"}
_NEWEST_EVENTS = 500
FIRST_CURVES = "as at first"
"""The choice that is no curve: those that the stage begins with."""


def event_rows(snapshot: RunSnapshot | None) -> list[Row]:
    """What happened, oldest first: the letter of the ruler, the step, the kind, the text."""
    if snapshot is None:
        return []
    stage = run_recipe.stage(snapshot.run.recipe_file)
    rows: list[tuple[int, Row]] = [
        (step, _event_row("E", step, text("dashboard.event_evaluation"), " ".join(_figures(figures, stage)), "accent"))
        for step, figures in snapshot.evaluations
    ]
    evaluated = {step for step, _ in snapshot.evaluations}
    said = {(finding.step, finding.text): finding for finding in snapshot.findings}
    for mark in snapshot.marks[-_NEWEST_EVENTS:]:
        if mark.kind == "command" and mark.text == "evaluate" and mark.step in evaluated:
            continue  # its row has the figure
        finding = said.pop((mark.step, mark.text), None) if mark.kind == "finding" else None
        if mark.kind != "finding":
            rows.append((mark.step, _mark_row(snapshot, mark)))
        elif finding is not None:
            letter = "i" if finding.severity == "info" else mark_letter(mark.kind, mark.text)
            role = _SEVERITY_ROLES.get(finding.severity, "warning")
            kind = text("dashboard.event_finding")
            rows.append((mark.step, _event_row(letter, mark.step, kind, finding_text(finding), role)))
    for result in snapshot.results:
        if not result.accepted:
            line = text("dashboard.event_refusal", verb=verb_name(result.verb), text=result.text)
            rows.append((result.step, _event_row("-", result.step, text("dashboard.event_refused"), line, "warning")))
    return [row for _, row in sorted(rows, key=lambda item: item[0])]


def _figures(figures: Mapping[str, float], stage: str) -> list[str]:
    """The figures of an evaluation: loss or reward, the scores of answers, what the stage is judged by, the rest."""
    first = ("eval_loss", "eval_reward")
    telling = stage_curves(stage, 20, evaluates=True)

    def place(name: str) -> tuple[bool, bool, int]:
        known = [at for at, curve in enumerate(telling) if curve.removeprefix("eval_") == name.removeprefix("eval_")]
        return name not in first, not name.endswith(ANSWER_SCORES), known[0] if known else len(telling)

    shown = {name: name if name in first else name.removeprefix("eval_") for name in sorted(figures, key=place)}
    return [f"{word} {value_text(figures[name])}" for name, word in shown.items()]


def _mark_row(snapshot: RunSnapshot, mark: Mark) -> Row:
    role = _MARK_ROLES.get(mark.kind, "muted")
    line = event_text(mark.kind, mark.text)
    if mark.kind == "end" and snapshot.end is not None:
        role = STATE_ROLES.get(snapshot.end.reason, "muted")
        line = end_text(snapshot.end)
    kind = find(f"dashboard.event_{mark.kind}") or mark.kind
    return _event_row(mark_letter(mark.kind, mark.text), mark.step, kind, line, role)


def event_text(kind: str, line: str) -> str:
    """The text of a mark, translated where it is a word of ours."""
    if kind == "command":
        return find(f"dashboard.verb_{line}") or line
    if kind in ("checkpoint", "end"):
        word, _, rest = line.partition(" ")
        translated = find(f"dashboard.reason_{line.replace(' ', '_')}")
        if translated is None and word == "signal":
            return f"{text('dashboard.reason_signal')} {rest}".rstrip()
        return translated or line
    return line


def finding_text(finding: FindingEvent) -> str:
    """What the trainer found, in the language in force where the catalogue has it, with our numbers."""
    return measures.grouped(localized(finding.id, finding.values, finding.text))


def end_text(end: EndEvent) -> str:
    """How a run ended, in the language in force where the catalogue has it."""
    reason = find(f"dashboard.reason_{end.reason}") or end.reason
    if not end.text or end.text == end.reason:
        return reason
    values = dict(end.values)
    if "reason" in values:
        values["reason"] = event_text("end", str(values["reason"]))
    return localized(end.id, values, event_text("end", end.text))


def phase_words(line: str) -> str:
    """What a trainer says that it does, in the language in force where the catalogue has it."""
    return find(f"dashboard.phase_{line.replace(' ', '_')}") or line


def verb_name(verb: str) -> str:
    """A command's verb in the language in force."""
    return find(f"dashboard.verb_{verb}") or verb


def _event_row(letter: str, step: int, kind: str, line: str, role: str) -> Row:
    # One line, whatever was said: a line end would break the row.
    said = " ".join(line.split())
    return ((f"{letter} ", f"*{role}"), (f"{step:>6}  ", "muted"), (f"{kind}  ", role), (said, "foreground"))


def log_rows(snapshot: RunSnapshot | None) -> list[Row]:
    """The last lines of what the trainer printed."""
    return [] if snapshot is None else [((line, "foreground"),) for line in snapshot.log]


def sample_rows(snapshot: RunSnapshot | None, *, newest_last: bool = False) -> list[Row]:
    """Prompts and answers, the newest first or last; below a prompt stand all answers to it, with their rewards."""
    samples = snapshot.samples if snapshot is not None else ()
    groups = [list(group) for _, group in groupby(samples, key=lambda one: (one.step, one.prompt, one.held_out))]
    rows: list[Row] = []
    for group in groups if newest_last else reversed(groups):
        first = group[0]
        step = text("common.chart_step", step=first.step)
        rows.append(((f"{step}  ", "muted"), (" ".join(first.prompt.split()), "secondary")))
        for sample in group:
            rows += _answer_rows(sample)
        rows.append(())
    return rows[:-1]


def _answer_rows(sample: SampleEvent) -> list[Row]:
    lines = (sample.text.strip() or "…").splitlines()
    if sample.score is None:
        return [((line, "foreground"),) for line in lines]
    words = "sample_score_held_out" if sample.held_out else "sample_score"
    score = text(f"dashboard.{words}", score=f"{sample.score:.4g}")
    return [((f"{score}  ", "muted"), (lines[0], "foreground")), *[((line, "foreground"),) for line in lines[1:]]]


def no_samples(snapshot: RunSnapshot | None) -> str:
    """What will stand where samples will be."""
    if snapshot is None:
        return ""
    stage = run_recipe.stage(snapshot.run.recipe_file)
    if stage == "rm":
        return text("dashboard.no_answers")
    return text("dashboard.no_rewarded" if main_curve(stage) == "reward" else "dashboard.no_samples")


def finding_rows(snapshot: RunSnapshot | None) -> list[Row]:
    """Findings, the newest last, with their severity as a word."""
    found = snapshot.findings if snapshot is not None else ()
    return [
        (
            (f"{text(f'dashboard.severity_{finding.severity}')}  ", f"*{_SEVERITY_ROLES[finding.severity]}"),
            (" ".join(finding_text(finding).split()), "foreground"),
        )
        for finding in found[-20:]
        if finding.severity in _SEVERITY_ROLES
    ]


def banner(snapshot: RunSnapshot | None) -> tuple[str, str]:
    """One line about how the run ended, or why it waits, with a mood: good, bad, calm; empty while it just runs."""
    if snapshot is None:
        return "", ""
    state, recipe = snapshot.state.value, snapshot.run.recipe_file
    scores = run_recipe.stage(recipe) == "rm"
    part = snapshot.part
    if part is not None and part.standing.can_be_resumed and (snapshot.state.alive or state == "finished"):
        is_left = part.standing.needs_leader
        note = (standing_note if is_left else long_standing)(part.pipeline, part.standing)
        return text("pipeline.banner", name=part.pipeline.name, note=note), "calm"
    if state == "finished":
        if not run_recipe.trains(recipe):
            return text("dashboard.banner_not_trained"), "good"
        return text("dashboard.banner_scores" if scores else "dashboard.banner_finished"), "good"
    if state == "stopped":
        key = "dashboard.banner_stopped_scores" if scores else "dashboard.banner_stopped"
        return text(key, step=snapshot.step), "calm"
    if state == "failed":
        reason = end_text(snapshot.end) if snapshot.end is not None and snapshot.end.text else _message(snapshot)
        return text("dashboard.banner_failed", reason=_first_line(reason) or "?"), "bad"
    if state == "lost":
        return text("dashboard.banner_lost"), "bad"
    if state == "paused":
        return text("dashboard.banner_paused"), "calm"
    if state == "stalled":
        return text("dashboard.banner_stalled"), "bad"
    return "", ""


def empty_chart(snapshot: RunSnapshot | None, run: RunDirectory | None, *, main: bool) -> str:
    """What stands in a chart without points: what will come, and what to do for it."""
    if run is None:
        return text("dashboard.no_run") if main else ""
    if snapshot is None:
        return text("dashboard.reading") if main else ""
    if not main:
        return ""
    recipe = snapshot.run.recipe_file
    if snapshot.state.alive:
        first = curve_title(main_curve(run_recipe.stage(recipe)))
        coming = text("dashboard.first_point", curve=first, steps=run_recipe.logging_steps(recipe))
        # While data are prepared the status knows how far it is; the phase tells only that it began.
        doing = phase_words(_message(snapshot) or snapshot.phase_text)
        return f"{doing}\n{coming}" if doing else coming
    if snapshot.evaluations and not run_recipe.trains(recipe):
        # Measured once: that is no curve.
        return "\n".join(_figures(snapshot.evaluations[-1][1], run_recipe.stage(recipe)))
    return text("dashboard.no_curve", state=state_word(snapshot.state))


def curve_choices(snapshot: RunSnapshot, *, put_back: bool) -> list[tuple[str, str]]:
    """Every curve that the run has, with its newest value; first, where the user has chosen before, to undo that."""
    evaluated = snapshot.evaluations[-1][1] if snapshot.evaluations else {}
    names = curves_of(snapshot.latest, evaluated)
    titles = {name: curve_title(name) for name in names}
    width = max((cell_len(title) for title in titles.values()), default=0)
    values = {name: value_text(snapshot.latest.get(name, evaluated.get(name))) for name in names}
    rows = [(name, f"{title}{' ' * (width - cell_len(title))}  {values[name]:>9}") for name, title in titles.items()]
    return [(FIRST_CURVES, text("dashboard.curve_first")), *rows] if put_back else rows


def summary(snapshot: RunSnapshot | None, width: int) -> list[Row]:
    """The run in a few short rows, for windows that are too small for charts."""
    if snapshot is None:
        return [((f" {text('common.state_none')}", "muted"),)]
    total = f"/{snapshot.total_steps}" if snapshot.total_steps else ""
    curve = main_curve(run_recipe.stage(snapshot.run.recipe_file))
    facts: Sequence[tuple[str, str]] = (
        (text("dashboard.step"), f"{snapshot.step}{total}"),
        (curve_title(curve), value_text(snapshot.latest.get(curve))),
        (text("dashboard.speed"), measures.count(snapshot.latest.get("tokens_per_second", 0.0))),
        (text("dashboard.eta"), measures.duration(snapshot.seconds_left)),
    )
    head: list[Row] = [
        ((f" {snapshot.run.name[: max(1, width - 2)]}", "*foreground"),),
        ((f" {state_word(snapshot.state)}", f"*{STATE_ROLES[snapshot.state.value]}"),),
    ]
    return head + [((f" {label} ", "muted"), (value, "foreground")) for label, value in facts]


def _message(snapshot: RunSnapshot) -> str:
    return snapshot.status.message if snapshot.status is not None else ""


def _first_line(line: str) -> str:
    return line.strip().splitlines()[0] if line.strip() else ""
