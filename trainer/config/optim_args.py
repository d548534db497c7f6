"""What `optim_args` says to transformers' names of GaLore and APOLLO; the others read theirs by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trainer.errors import UserError

_WHOLE = re.compile(r"[1-9]\d*")
_REAL = re.compile(r"\d+\.?\d*([eE][-+]?\d+)?|\.\d+")
# The first choice is the default.
_CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "galore_": {"proj_type": ("std", "reverse_std", "right", "left", "full")},
    "apollo_": {
        "proj_type": ("std", "right", "left"),
        "proj": ("random", "svd"),
        "scale_type": ("channel", "tensor"),
    },
}
_DEFAULT_SCALE = {"galore_": 0.25, "apollo_": 1.0}


@dataclass(frozen=True)
class LowRankArguments:
    """The settings of a low-rank projection; `random` and `by_channel` are APOLLO's."""

    rank: int
    update_proj_gap: int
    scale: float
    proj_type: str
    random: bool
    by_channel: bool


def has_low_rank_arguments(optim: str) -> bool:
    """Whether `optim` is one of those whose `optim_args` are read here."""
    return optim.startswith(tuple(_CHOICES))


def unread_arguments(optim: str, text: str | None) -> Iterator[tuple[str, str]]:
    """The parts of `text` that `optim` cannot read, each with what was expected."""
    for name, value in _parts(text):
        expected = _expected(name, value, _CHOICES[_family(optim)])
        if expected:
            yield f"{name}={value}" if value else name, expected


def low_rank_arguments(optim: str, text: str | None) -> LowRankArguments:
    """The settings that `text`, a list `name=value,name=value`, gives to `optim`.

    Raises:
        UserError: a name is not known or a value is not of its kind; the message says what was expected.
    """
    for value, expected in unread_arguments(optim, text):
        raise UserError(f"expected {expected}", field="optim_args", value=value)
    family = _family(optim)
    given = dict(_parts(text))
    chosen = {name: given.get(name, allowed[0]) for name, allowed in _CHOICES[family].items()}
    return LowRankArguments(
        rank=int(given.get("rank", 128)),
        update_proj_gap=int(given.get("update_proj_gap", 200)),
        scale=float(given.get("scale", _DEFAULT_SCALE[family])),
        proj_type=chosen["proj_type"],
        random=chosen.get("proj") == "random",
        by_channel=chosen.get("scale_type") == "channel",
    )


def _family(optim: str) -> str:
    return next(family for family in _CHOICES if optim.startswith(family))


def _parts(text: str | None) -> Iterator[tuple[str, str]]:
    for part in filter(None, (text or "").replace(" ", "").split(",")):
        name, _, value = part.partition("=")
        yield name, value


def _expected(name: str, value: str, choices: dict[str, tuple[str, ...]]) -> str:
    """What should stand there; empty where it is right."""
    if name in ("rank", "update_proj_gap"):
        return "" if _WHOLE.fullmatch(value) else f"{name}= a whole number from 1"
    if name == "scale":
        return "" if _REAL.fullmatch(value) else "scale= a number"
    if name in choices:
        return "" if value in choices[name] else f"{name}={'|'.join(choices[name])}"
    return f"name=value with a name of {', '.join(('rank', 'update_proj_gap', 'scale', *choices))}"
