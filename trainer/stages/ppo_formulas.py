"""The formulas of PPO, on tensors alone: advantages, losses, whitening, the penalty that adapts. Not for models.

PPO: Schulman et al. 2017, arXiv 1707.06347. For language models: Ziegler et al. 2019, arXiv 1909.08593; Ouyang et al.
2022, arXiv 2203.02155; details as in Huang et al. 2024, arXiv 2403.17031.

Everything is (rows, tokens) float32; `mask` (bool) says which tokens belong to an answer, which stand together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

_TINY = 1e-8


def token_rewards(scores: torch.Tensor, log_ratio: torch.Tensor, mask: torch.Tensor, kl_weight: float) -> torch.Tensor:
    """What each token gets: the KL penalty, and the last one of an answer also its score, (rows,).

    `log_ratio` is the log-probability under the policy less that under the reference.
    """
    rewards = -kl_weight * log_ratio * mask
    places = torch.arange(mask.shape[1], device=mask.device)
    last = (places * mask).argmax(1, keepdim=True)
    return rewards.scatter_add(1, last, scores[:, None])


def advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float, decay: float
) -> torch.Tensor:
    """Generalized advantage estimation (Schulman et al. 2015, arXiv 1506.02438, eq. 16) with lambda = `decay`.

    A_t = d_t + gamma * lambda * A_{t+1}, d_t = r_t + gamma * V_{t+1} - V_t; nothing comes after the last token.
    """
    found = torch.zeros_like(rewards)
    after = next_value = torch.zeros_like(rewards[:, 0])
    for token in reversed(range(rewards.shape[1])):
        inside = mask[:, token].float()
        step = rewards[:, token] + gamma * next_value - values[:, token]
        after = (step + gamma * decay * after) * inside
        next_value = values[:, token] * inside
        found[:, token] = after
    return found


def whitened(values: torch.Tensor, mask: torch.Tensor, *, shift: bool = True) -> torch.Tensor:
    """The masked values with spread 1, and mean 0 unless `shift` is off and they keep theirs; 0 elsewhere."""
    chosen = values[mask]
    mean = chosen.mean()
    spread = (chosen.var(correction=0) + _TINY).sqrt()
    white = (values - mean) / spread
    return (white if shift else white + mean) * mask


def policy_losses(
    new: torch.Tensor, old: torch.Tensor, advantage: torch.Tensor, low: float, high: float
) -> torch.Tensor:
    """The clipped objective (PPO, eq. 7) for each token, negated; log-probabilities under the policy now and when the
    answer was drawn. The ratio counts between 1 - `low` and 1 + `high`.
    """
    ratio = (new - old).exp()
    return -torch.min(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


def clipped_share(new: torch.Tensor, old: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """1 where the ratio lies outside of the range that counts, else 0."""
    ratio = (new - old).exp()
    return ((ratio < 1 - low) | (ratio > 1 + high)).float()


def value_losses(new: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, clip: float) -> torch.Tensor:
    """Half the squared error of the values, or of those that stay within `clip` of the old ones if that is worse."""
    near = old + (new - old).clamp(-clip, clip)
    return 0.5 * torch.max((new - returns) ** 2, (near - returns) ** 2)


def explained_share(values: torch.Tensor, returns: torch.Tensor) -> torch.Tensor:
    """How much of the variance of the returns the values foretell, (1,): 1 all, 0 none, below 0 they mislead; nothing,
    (0,), where all returns are the same.
    """
    variance = returns.var(correction=0)
    share = 1 - (returns - values).var(correction=0) / variance
    return share[None] if variance > 0 else share.new_zeros(0)


@dataclass
class AdaptiveKl:
    """The weight of the KL penalty, which goes up while the policy is too far away, and down while it is too near
    (Ziegler et al. 2019, section 2.2).
    """

    weight: float
    target: float
    horizon: int

    def update(self, kl: float, answers: int) -> None:
        """After `answers` answers whose mean KL distance was `kl`."""
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.weight *= 1 + error * answers / self.horizon


@dataclass
class RunningSpread:
    """Mean and variance of all scores so far (Chan et al. 1983: two parts joined)."""

    mean: float = 0.0
    variance: float = 0.0
    count: int = 0

    def update(self, scores: torch.Tensor) -> None:
        """Take scores in, (rows,)."""
        added, mean = scores.numel(), float(scores.mean())
        variance, total = float(scores.var(correction=0)), self.count + scores.numel()
        distance = mean - self.mean
        squares = self.variance * self.count + variance * added + distance**2 * self.count * added / total
        self.mean += distance * added / total
        self.variance, self.count = squares / total, total

    def normalized(self, scores: torch.Tensor) -> torch.Tensor:
        """The scores less the mean, in units of the spread."""
        return (scores - self.mean) / (self.variance + _TINY) ** 0.5
