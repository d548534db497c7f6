"""The plan of a run in words, in the language in force: as facts for a pane and as one line for a narrow window."""

from __future__ import annotations

from tui.forms.summary import RunPlan
from tui.locale import text


def plan_facts(plan: RunPlan, run_name: str) -> list[tuple[str, str]]:
    """Label and words, in reading order; what is not known yet says so."""
    unknown = text("setup.plan_unknown")
    rows = _count(plan.rows, unknown)
    if plan.tokens_per_epoch is not None:
        rows += f"  ({text('setup.plan_tokens', tokens=f'{plan.tokens_per_epoch:,}')})"
    facts = [(text("setup.plan_name"), run_name), (text("setup.plan_rows"), rows)]
    steps = _count(plan.steps, unknown)
    if plan.epochs is not None:
        steps += f"  ({text('setup.plan_epochs', epochs=f'{plan.epochs:.4g}')})"
    facts.append((text("setup.plan_steps"), steps))
    batch = f"{plan.batch} × {plan.accumulation}"
    batch += f" × {plan.devices} GPU" if plan.devices > 1 else ""
    facts.append((text("setup.plan_batch"), f"{batch} = {plan.effective_batch}"))
    facts.append((text("setup.plan_warmup"), _count(plan.warmup_steps, unknown)))
    facts.append((text("setup.plan_evaluations"), _count(plan.evaluations, unknown)))
    saves = _count(plan.saves, unknown)
    if plan.saves and plan.saves_kept:
        saves += f"  ({text('setup.plan_kept', count=plan.saves_kept)})"
    facts.append((text("setup.plan_saves"), saves))
    return facts


def plan_parts(plan: RunPlan, run_name: str) -> list[str]:
    """The same for one line, the most wanted first: what is not known is left out."""
    parts = [run_name]
    if plan.steps is not None:
        parts.append(f"{plan.steps:,} {text('setup.plan_steps')}")
    if plan.epochs is not None:
        parts.append(text("setup.plan_epochs", epochs=f"{plan.epochs:.4g}"))
    parts.append(f"{text('setup.plan_batch')} {plan.effective_batch}")
    if plan.saves is not None:
        parts.append(f"{text('setup.plan_saves')} {plan.saves}")
    return parts


def _count(number: int | None, unknown: str) -> str:
    return unknown if number is None else f"{number:,}"
