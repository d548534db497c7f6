"""The formulas of ppo, grpo and rloo against the papers, written out with plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from trainer.config.tables.reinforcement import GrpoTable
from trainer.stages.grpo import answer_losses, by_answer, clip_range, group_advantages, kl_estimates, leave_one_out
from trainer.stages.ppo_formulas import (
    AdaptiveKl,
    RunningSpread,
    advantages,
    clipped_share,
    policy_losses,
    token_rewards,
    value_losses,
    whitened,
)

MASK = torch.tensor(
    [[False, True, True, True, False], [False, False, True, True, True], [True, False, False, False, False]]
)


def random(seed: int) -> torch.Tensor:
    return torch.randn(MASK.shape, generator=torch.Generator().manual_seed(seed))


def test_tokens_get_the_penalty_and_the_last_one_the_score() -> None:
    ratio, scores = random(0), torch.tensor([1.0, -2.0, 3.0])
    found = token_rewards(scores, ratio, MASK, 0.2)
    expected = torch.zeros(MASK.shape)
    for row in range(3):
        inside = [token for token in range(5) if MASK[row, token]]
        for token in inside:
            expected[row, token] = -0.2 * ratio[row, token]
        expected[row, inside[-1]] += scores[row]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("gamma", "decay"), [(1.0, 0.95), (0.9, 0.5), (0.99, 0.0), (1.0, 1.0)])
def test_advantages_are_sums_of_discounted_surprises(gamma: float, decay: float) -> None:
    rewards, values = random(1) * MASK, random(2) * MASK
    found = advantages(rewards, values, MASK, gamma, decay)
    for row in range(3):
        inside = [token for token in range(5) if MASK[row, token]]
        surprise = {}
        for token in inside:
            following = float(values[row, token + 1]) if token + 1 in inside else 0.0
            surprise[token] = float(rewards[row, token]) + gamma * following - float(values[row, token])
        for token in range(5):
            expected = sum((gamma * decay) ** (later - token) * surprise[later] for later in inside if later >= token)
            assert float(found[row, token]) == pytest.approx(expected if token in inside else 0.0, abs=1e-6)


def test_whitening_gives_spread_one_and_mean_zero_or_the_old_mean() -> None:
    values = 3 * random(3) + 2
    white = whitened(values, MASK)
    assert float(white[MASK].mean()) == pytest.approx(0, abs=1e-6)
    assert float(white[MASK].std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert not white[~MASK].any()
    kept = whitened(values, MASK, shift=False)
    chosen = values[MASK]
    torch.testing.assert_close(kept[MASK], (chosen - chosen.mean()) / chosen.std(correction=0) + chosen.mean())
    # One value alone has no spread.
    assert torch.isfinite(whitened(values[2:], MASK[2:])).all()


def test_the_policy_loss_and_its_gradient_stop_where_the_ratio_leaves_its_range() -> None:
    old = torch.zeros(4)
    new = torch.log(torch.tensor([1.5, 1.5, 0.5, 0.5])).requires_grad_()
    gained = torch.tensor([1.0, -1.0, 1.0, -1.0])
    losses = policy_losses(new, old, gained, 0.2, 0.3)
    torch.testing.assert_close(losses.detach(), torch.tensor([-1.3, 1.5, -0.5, 0.8]))
    losses.sum().backward()
    # d/dx of -exp(x) A where the ratio counts, else nothing.
    torch.testing.assert_close(new.grad, torch.tensor([0.0, 1.5, -0.5, 0.0]))
    assert clipped_share(new.detach(), old, 0.2, 0.6).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_the_value_loss_is_the_worse_of_two_squares() -> None:
    new = torch.tensor([2.0, 0.1, -1.0]).requires_grad_()
    old, returns = torch.zeros(3), torch.tensor([3.0, 1.0, 0.0])
    losses = value_losses(new, old, returns, 0.2)
    expected = [max((n - r) ** 2, (max(-0.2, min(0.2, n)) - r) ** 2) / 2 for n, r in ((2, 3), (0.1, 1), (-1, 0))]
    torch.testing.assert_close(losses.detach(), torch.tensor(expected))
    losses.sum().backward()
    torch.testing.assert_close(new.grad, torch.tensor([0.0, -0.9, -1.0]))


def test_the_penalty_follows_its_target_by_a_fifth_at_most() -> None:
    kl = AdaptiveKl(0.2, target=6.0, horizon=1000)
    kl.update(6.6, 50)
    assert kl.weight == pytest.approx(0.2 * (1 + 0.1 * 50 / 1000))
    kl = AdaptiveKl(0.2, 6.0, 1000)
    kl.update(100.0, 50)
    assert kl.weight == pytest.approx(0.2 * (1 + 0.2 * 0.05))
    kl = AdaptiveKl(0.2, 6.0, 1000)
    kl.update(-5.0, 50)
    assert kl.weight == pytest.approx(0.2 * (1 - 0.2 * 0.05))


def test_the_running_spread_is_that_of_all_scores() -> None:
    spread, parts = RunningSpread(), [random(number).flatten()[: 3 + number] * (number + 1) for number in range(4)]
    for part in parts:
        spread.update(part)
    everything = torch.cat(parts)
    assert spread.mean == pytest.approx(float(everything.mean()), abs=1e-6)
    assert spread.variance == pytest.approx(float(everything.var(correction=0)), rel=1e-5)
    expected = (parts[0] - everything.mean()) / everything.std(correction=0)
    torch.testing.assert_close(spread.normalized(parts[0]), expected)


def test_answers_of_a_group_are_compared_with_each_other_alone() -> None:
    scores = torch.tensor([1.0, 2.0, 6.0, 5.0, 5.0, 5.0])
    found = group_advantages(scores, 3, scale=True)
    spread = math.sqrt(((1 - 3) ** 2 + (2 - 3) ** 2 + (6 - 3) ** 2) / 2)
    assert found.tolist() == pytest.approx([-2 / spread, -1 / spread, 3 / spread, 0, 0, 0], abs=1e-3)
    assert group_advantages(scores, 3, scale=False).tolist() == pytest.approx([-2, -1, 3, 0, 0, 0])
    assert leave_one_out(scores, 3).tolist() == pytest.approx([1 - 4, 2 - 3.5, 6 - 1.5, 0, 0, 0])


def test_the_kl_estimate_is_unbiased_and_never_negative() -> None:
    policy, reference = (torch.randn(7, generator=torch.Generator().manual_seed(n)).log_softmax(0) for n in (0, 1))
    estimates = kl_estimates(policy, reference)
    assert (estimates >= 0).all()
    exact = float((policy.exp() * (policy - reference)).sum())
    assert float((policy.exp() * estimates).sum()) == pytest.approx(exact, rel=1e-5)


def plain_losses(kind: str, new: torch.Tensor, old: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """The loss of a step with advantages 1, -2 and 0.5, written out: clip 0.2 below and 0.3 above, beta 0.1."""
    gained, answers, tokens = [1.0, -2.0, 0.5], [], []
    for row in range(3):
        inside = [token for token in range(5) if MASK[row, token]]
        if kind == "rloo":
            ratio = torch.exp(sum(new[row, token] - old[row, token] for token in inside))
            answers.append(-torch.min(ratio * gained[row], torch.clamp(ratio, 0.8, 1.3) * gained[row]))
            continue
        losses = []
        for token in inside:
            ratio = torch.exp(new[row, token] - old[row, token])
            away = torch.exp(reference[row, token] - new[row, token])
            loss = -torch.min(ratio * gained[row], torch.clamp(ratio, 0.8, 1.3) * gained[row])
            losses.append(loss + 0.1 * (away - torch.log(away) - 1))
        tokens += losses
        answers.append(sum(losses) / (len(losses) if kind == "grpo" else 10))
    return sum(tokens) / len(tokens) if kind == "dapo" else sum(answers) / len(answers)


def our_losses(kind: str, new: torch.Tensor, old: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    advantages = torch.tensor([1.0, -2.0, 0.5])[:, None] * MASK
    low, high = clip_range(GrpoTable(epsilon=0.2, epsilon_high=0.3))
    if kind == "rloo":
        return answer_losses(new, old, advantages, MASK, low, high).sum() / 3
    losses = policy_losses(new, old, advantages, low, high) + 0.1 * kl_estimates(new, reference)
    return by_answer(losses, MASK, kind, 10).sum() / (int(MASK.sum()) if kind == "dapo" else 3)


def test_each_loss_over_groups_and_its_gradient_are_those_of_its_formula_and_no_two_are_equal() -> None:
    old, reference = random(4) - 3, random(5) - 3
    found = {}
    for kind in ("grpo", "dapo", "dr_grpo", "rloo"):
        ours, plain = ((old + 0.4 * random(6)).requires_grad_() for _ in range(2))
        loss, expected = our_losses(kind, ours, old, reference), plain_losses(kind, plain, old, reference)
        torch.testing.assert_close(loss, expected)
        loss.backward()
        expected.backward()
        torch.testing.assert_close(ours.grad, plain.grad)
        found[kind] = round(float(loss.detach()), 5)
    assert len(set(found.values())) == 4
