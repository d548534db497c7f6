"""Setup's question "will it fit?": asked when the values rest, answered by the inspect worker. No drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainer.config import Finding
from trainer.errors import UserError
from tui.forms.model import FormModel
from tui.forms.outlook import Outlook
from tui.inspect_client import InspectClient
from tui.locale import text
from tui.widgets.measures import size


@dataclass(frozen=True)
class Fit:
    """What is known about the memory of the form's values."""

    outlook: Outlook | None = None
    problem: str = ""
    """Why there is no estimate."""


def ask(client: InspectClient, model: FormModel, longest_row: int | None) -> Callable[[Callable[[Fit], None]], None]:
    """A question about the values as they are now: to be called in a thread, with what takes the answers."""
    recipe = model.resolved.recipe.model_dump(mode="json", exclude_none=True)

    def asked(told: Callable[[Fit], None]) -> None:
        try:
            client.ask(recipe, longest_row, lambda seen: told(Fit(seen)))
        except UserError as error:
            told(Fit(problem=" ".join(str(error).split())))

    return asked


def memory_finding(model: FormModel, seen: Outlook | None) -> tuple[Finding, ...]:
    """That it does not fit, on the fields of the best way out, which it proposes; nothing when it fits."""
    if seen is None or seen.verdict not in ("tight", "no") or seen.device.free is None:
        return ()
    best = seen.ways_out[0] if seen.ways_out else None
    fields = tuple(best.change) if best is not None else ("train.per_device_train_batch_size",)
    said = text(
        f"estimate.finding_{seen.verdict}",
        need=size(seen.total),
        free=size(seen.device.free),
        device=seen.device.name,
    )
    change = dict(best.change) if best is not None and best.fits and seen.verdict == "no" else {}
    shown = tuple(key for key in fields if model.applies(key)) or fields
    return (Finding(f"memory_{seen.verdict}", "warning" if seen.verdict == "no" else "info", shown, said, {}, change),)
