"""The losses over pairs of a better and a worse answer, each written out as in its paper. Not for running models.

Notation: of a pair (prompt x, better answer w, worse answer l) the policy gives log p(w) and log p(l), sums over the
tokens of the answer, and the reference log r(w) and log r(l). `d_w = log p(w) - log r(w)` and `d_l` are the log-ratios,
`|w|` and `|l|` the lengths in tokens, s is the logistic function. All tensors are float32, one entry a pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

from trainer.config.tables.preference import PairLoss

_DISCOPOP_TEMPERATURE = 0.05


@dataclass(frozen=True)
class PairScores:
    """What policy and reference give a batch of pairs; each (pairs,) float32."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    reference_chosen: torch.Tensor
    """Zeros for a loss that takes no reference."""
    reference_rejected: torch.Tensor
    chosen_length: torch.Tensor
    """Tokens of the answer."""
    rejected_length: torch.Tensor

    @property
    def chosen_ratio(self) -> torch.Tensor:
        """d_w."""
        return self.chosen - self.reference_chosen

    @property
    def rejected_ratio(self) -> torch.Tensor:
        """d_l."""
        return self.rejected - self.reference_rejected

    @property
    def margin(self) -> torch.Tensor:
        """d_w - d_l."""
        return self.chosen_ratio - self.rejected_ratio

    @property
    def chosen_mean(self) -> torch.Tensor:
        """log p(w) / |w|."""
        return self.chosen / self.chosen_length

    @property
    def rejected_mean(self) -> torch.Tensor:
        """log p(l) / |l|."""
        return self.rejected / self.rejected_length

    @property
    def mean_margin(self) -> torch.Tensor:
        """d_w / |w| - d_l / |l|."""
        return self.chosen_ratio / self.chosen_length - self.rejected_ratio / self.rejected_length


@dataclass(frozen=True)
class LossSettings:
    """The numbers of the losses, by the names of the recipe."""

    pref_loss: PairLoss
    pref_beta: float
    dpo_label_smoothing: float = 0.0
    simpo_gamma: float = 0.5


def pair_losses(scores: PairScores, settings: LossSettings, reward_shift: float = 0.0) -> torch.Tensor:
    """The loss of each pair, (pairs,); the loss of a batch is their mean. `reward_shift` is BCO's."""
    beta, smoothing = settings.pref_beta, settings.dpo_label_smoothing
    margin = beta * scores.margin
    chosen, rejected = beta * scores.chosen_ratio, beta * scores.rejected_ratio
    match settings.pref_loss:
        case "sigmoid":
            # DPO, Rafailov et al. 2023 (arXiv 2305.18290) eq. 7; with smoothing conservative DPO, Mitchell 2023.
            return -(1 - smoothing) * logsigmoid(margin) - smoothing * logsigmoid(-margin)
        case "robust":
            # Robust DPO, Chowdhury et al. 2024 (arXiv 2403.00409) eq. 9: unbiased where labels are flipped.
            clean, flipped = -logsigmoid(margin), -logsigmoid(-margin)
            return ((1 - smoothing) * clean - smoothing * flipped) / (1 - 2 * smoothing)
        case "hinge":
            # SLiC, Zhao et al. 2023 (arXiv 2305.10425), on log-ratios as in RSO (arXiv 2309.06657).
            return torch.relu(1 - margin)
        case "ipo":
            # Azar et al. 2023 (arXiv 2310.12036) eq. 17, tau = beta; ratios per token, as its authors computed it.
            return (scores.mean_margin - 1 / (2 * beta)) ** 2
        case "kto_pair":
            return _kto_pair(chosen, rejected)
        case "exo_pair":
            # EXO, Ji et al. 2024 (arXiv 2402.00856) eq. 16: KL from (s(m), s(-m)) to (1 - smoothing, smoothing).
            above, below = logsigmoid(margin), logsigmoid(-margin)
            return above.exp() * (above - math.log(1 - smoothing)) + below.exp() * (below - math.log(smoothing))
        case "nca_pair":
            # NCA, Chen et al. 2024 (arXiv 2402.05369).
            return -logsigmoid(chosen) - 0.5 * logsigmoid(-chosen) - 0.5 * logsigmoid(-rejected)
        case "bco_pair":
            return bco_losses(scores, beta, reward_shift)
        case "sppo_hard":
            # SPPO, Wu et al. 2024 (arXiv 2405.00675) eq. 4.7, the better answer winning with certainty.
            return (scores.chosen_ratio - 0.5 / beta) ** 2 + (scores.rejected_ratio + 0.5 / beta) ** 2
        case "aot":
            policy = (scores.chosen - scores.rejected).sort().values
            reference = (scores.reference_chosen - scores.reference_rejected).sort().values
            return _transport(beta * (policy - reference), smoothing)
        case "aot_unpaired":
            return _transport(chosen.sort().values - rejected.sort().values, smoothing)
        case "apo_zero":
            # APO, D'Oosterlinck et al. 2024 (arXiv 2408.06266) eq. 7: better answers up, worse ones down.
            return 1 - chosen.sigmoid() + rejected.sigmoid()
        case "apo_down":
            # The same, eq. 8: both down, the worse ones more.
            return chosen.sigmoid() + 1 - (chosen - rejected).sigmoid()
        case "discopop":
            # DiscoPOP, Lu et al. 2024 (arXiv 2406.08414) eq. 5.
            blend = (margin / _DISCOPOP_TEMPERATURE).sigmoid()
            return -logsigmoid(margin) * (1 - blend) + (-margin).exp() * blend
        case "sigmoid_norm":
            # DPO on ratios per token (Tulu 3, Lambert et al. 2024, arXiv 2411.15124).
            return -logsigmoid(beta * scores.mean_margin)
        case "orpo":
            # Hong et al. 2024 (arXiv 2403.07691) eq. 6, lambda = beta.
            return -scores.chosen_mean - beta * logsigmoid(log_odds_ratio(scores))
        case "simpo":
            # Meng et al. 2024 (arXiv 2405.14734) eq. 6.
            return -logsigmoid(beta * (scores.chosen_mean - scores.rejected_mean) - settings.simpo_gamma)
        case "sft":
            return -scores.chosen_mean


def bco_losses(scores: PairScores, beta: float, reward_shift: float) -> torch.Tensor:
    """BCO, Jung et al. 2024 (arXiv 2404.04656): a classifier of better and worse answers around the mean reward."""
    chosen = beta * scores.chosen_ratio - reward_shift
    rejected = beta * scores.rejected_ratio - reward_shift
    return -logsigmoid(chosen) - logsigmoid(-rejected)


def log_odds_ratio(scores: PairScores) -> torch.Tensor:
    """ORPO's log odds of the better answer over those of the worse one, by probabilities per token."""
    chosen, rejected = scores.chosen_mean, scores.rejected_mean
    return chosen - rejected - (_log_of_complement(chosen) - _log_of_complement(rejected))


def kto_losses(ratio: torch.Tensor, good: torch.Tensor, kl: torch.Tensor, beta: float) -> torch.Tensor:
    """KTO, Ethayarajh et al. 2024 (arXiv 2402.01306) eq. 8, without its weights: (answers,).

    `ratio` is log p(y) - r(y) of each answer, `good` (answers,) bool whether it is to be learned, `kl` () the distance
    of the policy from the reference, through which no gradient flows.
    """
    distance = torch.where(good, ratio - kl, kl - ratio)
    return 1 - (beta * distance).sigmoid()


def _kto_pair(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """KTO on pairs (arXiv 2402.01306): each answer against the distance that the other kind of answers shows."""
    above, below = chosen.mean().clamp(min=0).detach(), rejected.mean().clamp(min=0).detach()
    return 0.5 * (1 - (chosen - below).sigmoid()) + 0.5 * (1 - (above - rejected).sigmoid())


def _transport(margin: torch.Tensor, smoothing: float) -> torch.Tensor:
    """AOT, Melnyk et al. 2024 (arXiv 2406.05882): DPO between sorted batches, quantile by quantile."""
    return -(1 - smoothing) * logsigmoid(margin) - smoothing * logsigmoid(-margin)


def _log_of_complement(log_probability: torch.Tensor) -> torch.Tensor:
    """log(1 - exp(x)) for x < 0; an answer that is certain, x = 0, has a finite value."""
    return torch.log(-torch.expm1(log_probability.clamp(max=-1e-7)))
