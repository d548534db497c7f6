"""All mistakes of a preset together, and what of it could be read all the same. Not for finding them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.errors import UserError

if TYPE_CHECKING:
    from trainer.config.presets import Preset


class PresetErrors(UserError):
    """Why a preset is refused. As one line: the first mistake and how many more there are."""

    def __init__(self, problems: Sequence[UserError], readable: Preset | None) -> None:
        first = problems[0]
        more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            first.message + more,
            file=first.file,
            line=first.line,
            field=first.field,
            value=first.value,
            hint=first.hint,
        )
        self.problems = tuple(problems)
        """Every mistake as an error of its own."""
        self.readable = readable
        """The preset without what is wrong in it; None when too little is left."""
