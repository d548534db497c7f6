"""The dialog of Setup that asks for the model to tune. Not for what can be chatted with: `model_picker`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from tui.forms.model_choices import ModelChoice, find_models
from tui.locale import text
from tui.themes import role_style
from tui.widgets.picker import Picker

_SIZES = 16


class BaseModelPicker(Picker[ModelChoice]):
    """Recent models, folders, downloaded ones and well-known families; or a name or path that is typed."""

    area: ClassVar[str] = "setup"

    def __init__(
        self, current: str = "", *, hub: str = "huggingface", cache_dir: str | None = None, **widget_arguments: Any
    ) -> None:
        super().__init__(current, **widget_arguments)
        self._hub = hub
        self._cache_dir = cache_dir

    def find(self) -> Sequence[ModelChoice]:
        """Look in runs, folders, caches and the list."""
        return find_models(self._hub, cache_dir=self._cache_dir)

    def typed(self, words: str) -> ModelChoice:
        """A name or a path as it was typed."""
        return ModelChoice(words, "", is_typed=True)

    def row(self, choice: ModelChoice, shown: Sequence[ModelChoice], room: int) -> str | Text:
        """Mark, name, parameters, and whether it is here or how much is to be fetched."""
        if choice.is_typed:
            return text("setup.pick_typed", path=choice.path)
        mark = "*" if choice.path == self.current else " "
        figures = f"{_parameters(choice):>7} {_place(choice):>{_SIZES - 8}}"
        width = room - cell_len(figures) - 4
        name = choice.path
        if cell_len(name) > width:
            # The end of a path tells more than its beginning.
            name = "…" + name[-(width - 1) :]
        line = Text(f"{mark} {set_cell_size(name, width)}  ", no_wrap=True)
        line.append(figures, style=role_style(self.app, "success" if choice.is_here else "muted"))
        return line

    def note(self, choice: ModelChoice | None) -> str:
        """Family, context, licence, and what has to be done before it can be used."""
        keys = text("setup.pick_hint")
        if choice is None or choice.is_typed:
            return f"{keys}\n"
        facts = [choice.family]
        if choice.context:
            facts.append(text("setup.pick_context", tokens=f"{choice.context:,}"))
        facts.append(choice.licence)
        if choice.is_gated and not choice.is_here:
            facts.append(text("setup.pick_gated"))
        if choice.brings_code:
            facts.append(text("setup.pick_code"))
        return f"{keys}\n{' · '.join(fact for fact in facts if fact)}"


def _parameters(choice: ModelChoice) -> str:
    if choice.billions is None:
        return ""
    return f"{choice.billions:g}B" if choice.billions >= 0.5 else f"{choice.billions * 1000:.0f}M"


def _place(choice: ModelChoice) -> str:
    if choice.is_here:
        return text("setup.pick_here")
    if choice.bytes is None:
        return ""
    size = choice.bytes / 1e9
    return f"~{size:.0f} GB" if size >= 10 else f"~{size:.1f} GB"
