"""Why a field does not act: not available yet, or refused for a reason. Not for fields that do not apply now."""

from __future__ import annotations

from trainer.config import Parameter
from trainer.config.rules import MESSAGES
from tui.forms.entry import shown_text
from tui.locale import text
from tui.localized import localized


def unavailable_text(one: Parameter) -> str:
    """The whole sentence."""
    if not one.form.refused:
        return text("setup.not_available")
    default = text("command_line.params_unset") if one.default in (None, []) else shown_text(one.default)
    values: dict[str, object] = {"name": one.name, "default": default}
    return localized(one.form.refused, values, MESSAGES[one.form.refused].format(**values))


def unavailable_word(one: Parameter) -> str:
    """The same in a word or two, for the end of a line."""
    return text("setup.refused" if one.form.refused else "setup.not_available")
