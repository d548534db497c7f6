"""Rewards that are computed from the text of an answer. Not for reward models."""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.config import Recipe
from trainer.data import EncodedRows
from trainer.data.python_file import agreed_content
from trainer.errors import UserError

from .rollouts import Answer

RewardOfText = Callable[[Answer], float]


def reward_function(name: str, recipe: Recipe) -> RewardOfText:
    """The function of this name with the settings of `[reward]`.

    Raises:
        UserError: when a pattern is none, or the user's file cannot be used.
    """
    table = recipe.reward
    place = _pattern("reward_answer_regex", table.reward_answer_regex) if table.reward_answer_regex else None
    match name:
        case "exact":
            return lambda answer: float(_plain(_looked_at(answer.text, place)) == _plain(answer.expected))
        case "contains":
            wanted = [word.casefold() for word in table.reward_words]
            return lambda answer: _contains(_looked_at(answer.text, place), wanted or [_plain(answer.expected)])
        case "regex":
            found = _pattern("reward_regex", table.reward_regex)
            return lambda answer: float(found.search(answer.text) is not None)
        case "format":
            form = _pattern("reward_format", table.reward_format)
            return lambda answer: float(form.fullmatch(answer.text) is not None)
        case "length":
            return lambda answer: min(1.0, max(0.0, 2 - len(answer.ids) / table.reward_length))
        case _:
            return _own_function(Path(str(table.reward_file)).expanduser())


def check_expected(recipe: Recipe, rows: EncodedRows) -> None:
    """Raises: UserError when a reward compares with the expected answer, and not one of `rows` has any."""
    table = recipe.reward
    comparing = [
        name for name in table.reward_funcs if name == "exact" or (name == "contains" and not table.reward_words)
    ]
    if not comparing or any(rows.expected(number) for number in range(len(rows))):
        return
    words = ", or set reward_words" if comparing == ["contains"] else ""
    raise UserError(
        "it compares with the expected answer, and no row of dataset has one",
        field="reward_funcs",
        value=comparing[0],
        hint=f"Give the rows answers (instruction and output){words}, or choose another reward.",
    )


def _looked_at(text: str, place: re.Pattern[str] | None) -> str:
    """The part of an answer in which the result stands; nothing where the pattern is not found."""
    if place is None:
        return text
    found = list(place.finditer(text))
    return found[-1].group(min(1, place.groups)) or "" if found else ""


def _contains(text: str, wanted: list[str]) -> float:
    plain = _plain(text)
    return float(any(word and word in plain for word in wanted))


def _plain(text: str) -> str:
    """The text without what does not matter: case, and white space at its ends or doubled."""
    return " ".join(text.casefold().split())


def _pattern(field: str, text: str | None) -> re.Pattern[str]:
    try:
        return re.compile(text or "", re.DOTALL)
    except re.error as error:
        raise UserError(f"this is no regular expression: {error}", field=field, value=text) from error


def _own_function(file: Path) -> RewardOfText:
    """`reward(prompt, answer, expected)` of the user's file.

    Raises:
        UserError: when the content was not agreed to, cannot be run, or has no such function.
    """
    content = agreed_content(file, field="reward_file")
    names: dict[str, Any] = {"__name__": "reward_file", "__file__": str(file)}
    try:
        exec(compile(content, str(file), "exec"), names)
    except Exception as error:
        raise UserError(f"the file fails: {type(error).__name__}: {error}", file=file, field="reward_file") from error
    function = names.get("reward")
    if not callable(function):
        hint = "Write: def reward(prompt, answer, expected): return 1.0"
        raise UserError("the file has no function reward", file=file, field="reward_file", hint=hint)

    def reward(answer: Answer) -> float:
        try:
            given = float(function(answer.prompt, answer.text, answer.expected))
        except Exception as error:
            told = f"reward() fails: {type(error).__name__}: {error}"
            raise UserError(told, file=file, line=_line_in(file, error)) from error
        if not math.isfinite(given):
            raise UserError(f"reward() returned {given}, which is no reward", file=file)
        return given

    return reward


def _line_in(file: Path, error: Exception) -> int | None:
    """The line of the user's file where an error came from; None when it was in the call itself."""
    places = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return places[-1] if places else None
