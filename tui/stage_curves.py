"""Which curves a run of a stage is judged by, the first ones first, and what they are called. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tui.locale import find, text

_CURVES: Mapping[str, Sequence[str]] = {
    "pt": ("loss", "eval_perplexity", "learning_rate", "mean_token_accuracy", "grad_norm"),
    "sft": ("loss", "learning_rate", "grad_norm", "mean_token_accuracy", "entropy"),
    "rm": ("loss", "accuracy", "margin", "learning_rate", "grad_norm"),
    "dpo": ("loss", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected"),
    "kto": ("loss", "rewards/margins", "kl", "rewards/chosen", "rewards/rejected"),
    "ppo": ("reward", "kl", "answer_tokens", "loss", "learning_rate"),
    "grpo": ("reward", "kl", "groups_of_one_mind", "answer_tokens", "learning_rate"),
    "rloo": ("reward", "kl", "groups_of_one_mind", "answer_tokens", "learning_rate"),
}
# What takes the place of a curve that a run does not have: `kl` without a reference, `eval_perplexity` without rows.
_SPARE = ("reward_std", "mean_token_accuracy", "entropy", "learning_rate", "grad_norm")
_EXACT = ("learning_rate", "kl_coef")
_NO_CURVES = frozenset({"tokens"})
_SPEED_ENDINGS = ("_runtime", "_per_second")


def main_curve(stage: str) -> str:
    """The curve that a run of this stage is about."""
    return _CURVES.get(stage, _CURVES["sft"])[0]


def stage_curves(stage: str, count: int, *, evaluates: bool, measured: Collection[str] = ()) -> tuple[str, ...]:
    """The curves to begin with, the most telling first.

    What a run does not measure is left out, as soon as it has measured anything; what evaluations measure, where there
    are none.
    """

    def is_expected(name: str) -> bool:
        return name in measured or (evaluates if name.startswith("eval_") else not measured)

    wanted = (*_CURVES.get(stage, _CURVES["sft"]), *_SPARE)
    return tuple(dict.fromkeys(name for name in wanted if is_expected(name)))[:count]


def curves_of(measured: Collection[str], evaluated: Collection[str]) -> tuple[str, ...]:
    """Every curve that a run can show: what training measures, and what evaluations alone do."""
    alone = [name for name in evaluated if name.startswith("eval_") and name.removeprefix("eval_") not in measured]
    return tuple(name for name in (*measured, *alone) if name not in _NO_CURVES and not name.endswith(_SPEED_ENDINGS))


def needs_smoothing(curve: str) -> bool:
    """Whether a curve is noisy. What is set, and the few points of evaluations, are shown as they are."""
    return curve not in _EXACT and not curve.startswith("eval_")


def curve_title(curve: str) -> str:
    """What a curve is called in the language in force; its own name where the catalogue has none."""
    known = find(f"curves.{_key(curve)}")
    if known is not None:
        return known
    if curve.startswith("eval_"):
        return text("curves.evaluated", name=curve_title(curve.removeprefix("eval_")))
    return curve


def _key(curve: str) -> str:
    return curve.replace("/", "_").replace("-", "_")
