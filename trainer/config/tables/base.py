"""What all tables have in common: strict types, no unknown keys, help from docstrings. Not for any field."""

import re
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from trainer.config.form import Condition


class Table(BaseModel):
    """One TOML table: immutable, strict, unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # Recipe builds them all; building each for itself as well would double the time of every start.
        defer_build=True,
        strict=True,
        allow_inf_nan=False,
        # Our field names come from LLaMA-Factory, `model_name_or_path` among them.
        protected_namespaces=(),
    )

    applies_when: ClassVar[tuple[Condition, ...]] = ()
    """Holds for every field of the table, beside the field's own conditions."""
    available: ClassVar[bool] = True
    """False where nothing of the table acts yet."""
    refused: ClassVar[str] = ""
    """Where nothing of the table will act: the name of the rule that says why."""


# A TOML list whose quotes the shell has eaten: `[a,b]`; not the `[qk]_proj` of a regular expression.
_UNQUOTED_LIST = re.compile(r"\[([^\[\]]*)\]")


def _split_commas(value: object) -> object:
    if isinstance(value, str):
        unquoted = _UNQUOTED_LIST.fullmatch(value.strip())
        value = value if unquoted is None else unquoted.group(1)
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _split_numbers(value: object) -> object:
    parts = _split_commas(value)
    if not isinstance(parts, list):
        return parts
    try:
        return [float(part) for part in parts if not isinstance(part, bool)]
    except (TypeError, ValueError):
        return parts


TextList = Annotated[list[str], BeforeValidator(_split_commas)]
"""A TOML list of texts; LLaMA-Factory's "a,b" is taken too. Empty means unset."""
NumberList = Annotated[list[float], BeforeValidator(_split_numbers)]
"""A TOML list of numbers; LLaMA-Factory's "0.5,0.5" is taken too. Empty means unset."""


def _one_text(value: object) -> object:
    return [value] if isinstance(value, str) else value


PromptList = Annotated[list[str], BeforeValidator(_one_text)]
"""A TOML list of texts in which commas are just commas; a single text is taken too."""
