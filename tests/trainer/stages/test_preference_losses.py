"""Every loss against its formula, written out here pair by pair from log-probabilities: its value and its gradient."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import fields
from typing import get_args

import pytest
import torch
from trl import DPOConfig

from tests.trainer.stages.batches import LENGTHS, PAIRS, FixedLogits, pairs, token_log_probabilities
from trainer.config import Recipe
from trainer.config.tables.preference import REFERENCE_FREE, SMOOTHED, PairLoss
from trainer.stages.dpo import DpoTrainer, RewardShift
from trainer.stages.preference_losses import kto_losses
from trainer.stages.reference import OtherModel
from trainer.stages.rm import reward_losses

BETA, SMOOTHING, GAMMA = 0.3, 0.2, 0.7
LOSSES: tuple[PairLoss, ...] = get_args(PairLoss)
Sums = list[torch.Tensor]


def sigmoid(value: torch.Tensor) -> torch.Tensor:
    return 1 / (1 + torch.exp(-value))


class Pair:
    """The log-probabilities of one pair: w the better, l the worse answer; p of the policy, r of the reference."""

    def __init__(self, policy: Sums, reference: Sums, number: int) -> None:
        self.pw, self.pl = policy[number].sum(), policy[PAIRS + number].sum()
        self.rw, self.rl = reference[number].sum(), reference[PAIRS + number].sum()
        self.lw, self.ll = LENGTHS[number], LENGTHS[PAIRS + number]
        self.dw, self.dl = self.pw - self.rw, self.pl - self.rl
        self.m = BETA * (self.dw - self.dl)


def exo(p: Pair) -> torch.Tensor:
    q = torch.stack([sigmoid(p.m), sigmoid(-p.m)])
    target = torch.tensor([1 - SMOOTHING, SMOOTHING])
    return (q * (q / target).log()).sum()


def orpo(p: Pair) -> torch.Tensor:
    def odds(mean: torch.Tensor) -> torch.Tensor:
        return mean.exp() / (1 - mean.exp())

    better, worse = p.pw / p.lw, p.pl / p.ll
    return -better - BETA * sigmoid((odds(better) / odds(worse)).log()).log()


def discopop(p: Pair) -> torch.Tensor:
    blend = sigmoid(p.m / 0.05)
    return (1 - blend) * -sigmoid(p.m).log() + blend * (-p.m).exp()


FORMULAS: dict[str, Callable[[Pair], torch.Tensor]] = {
    "sigmoid": lambda p: -(1 - SMOOTHING) * sigmoid(p.m).log() - SMOOTHING * sigmoid(-p.m).log(),
    "robust": lambda p: (-(1 - SMOOTHING) * sigmoid(p.m).log() + SMOOTHING * sigmoid(-p.m).log()) / (1 - 2 * SMOOTHING),
    "hinge": lambda p: (1 - p.m).clamp(min=0),
    "ipo": lambda p: (p.dw / p.lw - p.dl / p.ll - 1 / (2 * BETA)) ** 2,
    "exo_pair": exo,
    "nca_pair": lambda p: (
        -sigmoid(BETA * p.dw).log() - 0.5 * sigmoid(-BETA * p.dw).log() - 0.5 * sigmoid(-BETA * p.dl).log()
    ),
    "sppo_hard": lambda p: (p.dw - 1 / (2 * BETA)) ** 2 + (p.dl + 1 / (2 * BETA)) ** 2,
    "apo_zero": lambda p: 1 - sigmoid(BETA * p.dw) + sigmoid(BETA * p.dl),
    "apo_down": lambda p: sigmoid(BETA * p.dw) + 1 - sigmoid(p.m),
    "discopop": discopop,
    "sigmoid_norm": lambda p: -sigmoid(BETA * (p.dw / p.lw - p.dl / p.ll)).log(),
    "orpo": orpo,
    "simpo": lambda p: -sigmoid(BETA / p.lw * p.pw - BETA / p.ll * p.pl - GAMMA).log(),
    "sft": lambda p: -p.pw / p.lw,
}
"""Losses of single pairs; those that look at the whole batch follow."""


def over_batch(loss: str, all_pairs: list[Pair]) -> torch.Tensor:
    """The mean loss of the batch, for losses in which pairs meet."""
    if loss == "kto_pair":
        above = max(0.0, sum(BETA * p.dw.item() for p in all_pairs) / PAIRS)
        below = max(0.0, sum(BETA * p.dl.item() for p in all_pairs) / PAIRS)
        parts = [1 - sigmoid(BETA * p.dw - below) for p in all_pairs]
        parts += [1 - sigmoid(above - BETA * p.dl) for p in all_pairs]
        return torch.stack(parts).mean()
    if loss == "bco_pair":
        shift = sum(BETA * (p.dw + p.dl).item() for p in all_pairs) / (2 * PAIRS)
        parts = [-sigmoid(BETA * p.dw - shift).log() - sigmoid(-(BETA * p.dl - shift)).log() for p in all_pairs]
        return torch.stack(parts).mean()
    if loss == "aot":
        policy = sorted((p.pw - p.pl for p in all_pairs), key=torch.Tensor.item)
        reference = sorted((p.rw - p.rl for p in all_pairs), key=torch.Tensor.item)
    else:
        policy = sorted((p.dw for p in all_pairs), key=torch.Tensor.item)
        reference = sorted((p.dl for p in all_pairs), key=torch.Tensor.item)
    margins = [BETA * (one - other) for one, other in zip(policy, reference, strict=True)]
    parts = [-(1 - SMOOTHING) * sigmoid(m).log() - SMOOTHING * sigmoid(-m).log() for m in margins]
    return torch.stack(parts).mean()


def by_formula(loss: str, policy: Sums, reference: Sums) -> torch.Tensor:
    all_pairs = [Pair(policy, reference, number) for number in range(PAIRS)]
    if loss in FORMULAS:
        return torch.stack([FORMULAS[loss](pair) for pair in all_pairs]).mean()
    return over_batch(loss, all_pairs)


def trainer_of(policy: FixedLogits, reference: FixedLogits, loss: PairLoss, **more: object) -> DpoTrainer:
    """A trainer as far as its losses go."""
    values: dict[str, object] = {"pref_loss": loss, "pref_beta": BETA, "simpo_gamma": GAMMA, **more}
    if loss in SMOOTHED:
        values.setdefault("dpo_label_smoothing", SMOOTHING)
    trainer = DpoTrainer.__new__(DpoTrainer)
    trainer.model = policy.train()
    trainer.table = Recipe().with_values({f"preference.{name}": value for name, value in values.items()}).preference
    trainer.shift = RewardShift()
    trainer.make_figures()
    trainer.reference = None if loss in REFERENCE_FREE else OtherModel(reference)
    return trainer


def computed(loss: PairLoss, **more: object) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of the batch as the trainer computes it, and its gradient."""
    policy, reference = FixedLogits(2), FixedLogits(7)
    value = trainer_of(policy, reference, loss, **more).row_losses(policy, pairs()).mean()
    value.backward()
    assert policy.logits.grad is not None
    assert reference.logits.grad is None
    return value.detach(), policy.logits.grad


def expected(formula: Callable[[Sums, Sums], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    policy, reference = FixedLogits(2), FixedLogits(7)
    batch = pairs()
    value = formula(
        token_log_probabilities(policy.logits, batch), token_log_probabilities(reference.logits.detach(), batch)
    )
    value.backward()
    assert policy.logits.grad is not None
    return value.detach(), policy.logits.grad


def assert_same(found: tuple[torch.Tensor, torch.Tensor], wanted: tuple[torch.Tensor, torch.Tensor]) -> None:
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert float(wanted[1].abs().max()) > 1e-4, "a gradient that is not there proves nothing"


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_and_gradient_are_those_of_the_formula(loss: PairLoss) -> None:
    assert_same(computed(loss), expected(lambda policy, reference: by_formula(loss, policy, reference)))


def test_no_two_losses_give_the_same_numbers() -> None:
    found = {loss: computed(loss) for loss in LOSSES}
    found["sigmoid without smoothing"] = computed("sigmoid", dpo_label_smoothing=0.0)
    names = list(found)
    for number, one in enumerate(names):
        for other in names[:number]:
            assert abs(float(found[one][0] - found[other][0])) > 1e-3, (one, other)
            assert float((found[one][1] - found[other][1]).abs().max()) > 1e-3, (one, other)


def test_fine_tuning_loss_on_better_answers_is_added() -> None:
    def formula(policy: Sums, reference: Sums) -> torch.Tensor:
        plain = torch.stack([-policy[number].mean() for number in range(PAIRS)]).mean()
        return by_formula("sigmoid", policy, reference) + 0.4 * plain

    assert_same(computed("sigmoid", pref_ftx=0.4), expected(formula))


def test_bco_is_mixed_in_by_its_weight() -> None:
    def formula(policy: Sums, reference: Sums) -> torch.Tensor:
        mixed = by_formula("hinge", policy, reference) + 0.5 * by_formula("bco_pair", policy, reference)
        return mixed / 1.5

    assert_same(computed("hinge", pref_bco_weight=0.5), expected(formula))


def test_losses_are_added_by_their_weights() -> None:
    weights = {"sigmoid": 0.8, "bco_pair": 0.2, "sft": 1.5}

    def formula(policy: Sums, reference: Sums) -> torch.Tensor:
        parts = [weight * by_formula(loss, policy, reference) for loss, weight in weights.items()]
        return torch.stack(parts).sum()

    mixed = computed("sigmoid", pref_loss_mix=["bco_pair", "sft"], pref_loss_weights=list(weights.values()))
    assert_same(mixed, expected(formula))


def test_a_mix_takes_a_reference_when_one_of_its_losses_does() -> None:
    table = Recipe().preference
    assert table.model_copy(update={"pref_loss": "sft", "pref_loss_mix": ["ipo"]}).pairs_need_reference
    assert not table.model_copy(update={"pref_loss": "sft", "pref_loss_mix": ["simpo"]}).pairs_need_reference


def test_every_loss_of_the_installed_trl_is_offered() -> None:
    told = next(each for each in fields(DPOConfig) if each.name == "loss_type").metadata["help"]
    theirs = set(re.findall(r"`'(\w+)'`", told))
    assert len(theirs) > 10, "the help that lists them has changed"
    assert theirs <= set(LOSSES)


def test_the_tail_of_the_longer_answer_counts_less() -> None:
    def lighter(answers: Sums) -> Sums:
        shorter = [min(LENGTHS[number], LENGTHS[PAIRS + number]) for number in range(PAIRS)] * 2
        weights = [torch.where(torch.arange(len(a)) < end, 1.0, 0.25) for a, end in zip(answers, shorter, strict=True)]
        return [answer * weight for answer, weight in zip(answers, weights, strict=True)]

    wanted = expected(lambda policy, reference: by_formula("sigmoid", lighter(policy), lighter(reference)))
    assert_same(computed("sigmoid", ld_alpha=0.25), wanted)
    assert not torch.allclose(wanted[0], computed("sigmoid")[0])


def test_the_reward_shift_is_the_mean_over_all_answers_so_far() -> None:
    shift = RewardShift()
    batches = [torch.tensor([1.0, 2.0]), torch.tensor([4.0, -1.0, 3.0, 0.5])]
    for rewards in batches:
        shift.update(rewards)
    assert shift.mean == pytest.approx(float(torch.cat(batches).mean()))


def test_kto_against_its_formula() -> None:
    ratio = torch.tensor([0.7, -0.4, 1.5, -2.0], requires_grad=True)
    good, kl = torch.tensor([True, True, False, False]), torch.tensor(0.3)
    kto_losses(ratio, good, kl, BETA).sum().backward()
    plain = ratio.detach().clone().requires_grad_(True)
    losses = [1 - sigmoid(BETA * (plain[0] - kl)), 1 - sigmoid(BETA * (plain[1] - kl))]
    losses += [1 - sigmoid(BETA * (kl - plain[2])), 1 - sigmoid(BETA * (kl - plain[3]))]
    torch.stack(losses).sum().backward()
    torch.testing.assert_close(kto_losses(ratio, good, kl, BETA), torch.stack(losses))
    torch.testing.assert_close(ratio.grad, plain.grad)


def test_reward_loss_against_its_formula() -> None:
    chosen, rejected = torch.tensor([1.0, -0.5]), torch.tensor([0.2, 0.4])
    wanted = [-math.log(1 / (1 + math.exp(-(a - b)))) for a, b in zip(chosen.tolist(), rejected.tolist(), strict=True)]
    torch.testing.assert_close(reward_losses(chosen, rejected), torch.tensor(wanted))


def test_an_answer_that_is_certain_has_finite_odds() -> None:
    policy, reference = FixedLogits(2), FixedLogits(7)
    batch = pairs()
    with torch.no_grad():
        policy.logits.zero_()
        policy.logits[:, :-1].scatter_(2, batch["input_ids"][:, 1:, None], 100.0)
    losses = trainer_of(policy, reference, "orpo").row_losses(policy, batch)
    losses.sum().backward()
    assert policy.logits.grad is not None
    assert bool(losses.isfinite().all())
    assert bool(policy.logits.grad.isfinite().all())
