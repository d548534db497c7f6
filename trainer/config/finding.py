"""What a check found: which fields, how bad, in words, and what would mend it. Not the checks themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing."""

    id: str
    """Name of the rule; the key of its text in the catalogues (`findings.<id>`)."""
    severity: Severity
    """An error keeps a run from starting."""
    fields: tuple[str, ...]
    """Dotted keys of the parameters that it is about."""
    text: str
    """The English text, filled in."""
    values: dict[str, object] = field(default_factory=dict)
    """What fills the placeholders of the text in any language."""
    change: dict[str, object] = field(default_factory=dict)
    """Dotted key to value: what would mend it; empty when there is no one way. None unsets."""
