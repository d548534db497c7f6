"""The optimizers of ours against their formulas, and what they do beside: turns, updates in the backward pass."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from trainer.engine.live import apply_setting
from trainer.engine.optimizers.adam_mini import AdamMini, block_count
from trainer.engine.optimizers.apollo import Apollo, ApolloSettings
from trainer.engine.optimizers.badam import BlockOptimizer, Weight
from trainer.engine.optimizers.base import OwnOptimizer
from trainer.engine.optimizers.galore import Galore, GaloreSettings
from trainer.engine.optimizers.lomo import AdaLomo, Lomo
from trainer.engine.optimizers.muon import MuonWithAdamW
from trainer.engine.optimizers.projection import project, project_back, random_directions, sides_of
from trainer.engine.optimizers.turns import LayerTurns, ShareTurns, layers_of

# With an epsilon that small numbers do not get over: GaLore projects a gradient to both sides of itself, which leaves
# rounding errors beside the diagonal.
RATE, DECAY, BETAS, EPSILON = 0.05, 0.1, (0.9, 0.99), 1e-3
ADAM = {"rate": RATE, "betas": BETAS, "eps": EPSILON}
Weights = list[torch.nn.Parameter]


def make_weights(*shapes: tuple[int, ...]) -> Weights:
    generator = torch.Generator().manual_seed(3)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def gradients(weights: Weights, step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(weight.shape, generator=generator) for weight in weights]


def backward(weights: Weights, step: int) -> None:
    """Give the weights the gradients of a step, by a backward pass, so that hooks see them."""
    sum(
        (weight * gradient).sum() for weight, gradient in zip(weights, gradients(weights, step), strict=True)
    ).backward()


def train(optimizer: torch.optim.Optimizer, weights: Weights, steps: int, first: int = 0) -> list[torch.Tensor]:
    for step in range(first, first + steps):
        backward(weights, step)
        optimizer.step()
        for weight in weights:
            weight.grad = None
    return [weight.detach().clone() for weight in weights]


def adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=RATE, betas=BETAS, eps=EPSILON)


def by_adamw(shapes: list[tuple[int, ...]], steps: int) -> list[torch.Tensor]:
    weights = make_weights(*shapes)
    return train(adamw([{"params": weights, "weight_decay": DECAY}]), weights, steps)


def group(weights: Weights, **settings: Any) -> dict[str, Any]:
    return {"params": weights, "weight_decay": DECAY, "decays": True, **settings}


# GaLore and APOLLO


def galore(weights: Weights, kind: str = "std", rank: int = 2) -> Galore:
    settings = GaloreSettings(rank=rank, interval=2, scale=0.5, kind=kind)
    return Galore([group(weights[:1], projected=True), group(weights[1:], projected=False)], adamw, settings, RATE)


@pytest.mark.parametrize("kind", ["std", "reverse_std", "left", "right", "full"])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_galore_is_adam_on_the_projected_gradient(shape: tuple[int, int], kind: str) -> None:
    weights, expected = make_weights(shape, (5,)), make_weights(shape)[0].detach()
    mean = square = torch.zeros(())
    for step in range(4):
        (gradient,) = gradients([expected], step)
        if step % 2 == 0:
            u, _, v = torch.linalg.svd(gradient, full_matrices=False)
        left, right = u[:, :2], v[:2]
        tall = shape[0] >= shape[1]
        use_left = {"std": not tall, "reverse_std": tall, "left": True, "right": False, "full": True}[kind]
        use_right = {"std": tall, "reverse_std": not tall, "left": False, "right": True, "full": True}[kind]
        small = left.T @ gradient if use_left else gradient
        small = small @ right.T if use_right else small
        mean = BETAS[0] * mean + (1 - BETAS[0]) * small
        square = BETAS[1] * square + (1 - BETAS[1]) * small**2
        moved = mean / (1 - BETAS[0] ** (step + 1)) / ((square / (1 - BETAS[1] ** (step + 1))).sqrt() + EPSILON)
        moved = left @ moved if use_left else moved
        moved = moved @ right if use_right else moved
        expected = expected * (1 - RATE * DECAY) - RATE * 0.5 * moved
    found = train(galore(weights, kind), weights, 4)
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(found[1], by_adamw([shape, (5,)], 4)[1])


def apollo(weights: Weights, **changes: Any) -> Apollo:
    values = {"rank": 2, "interval": 2, "scale": 4.0, "kind": "std", "random": False, "by_channel": True}
    settings = ApolloSettings(**{**values, "scale_first": False, "seed": 1, **changes})
    return Apollo([group(weights[:1], projected=True), group(weights[1:], projected=False)], settings, **ADAM)


@pytest.mark.parametrize("by_channel", [True, False])
@pytest.mark.parametrize("scale_first", [True, False])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_apollo_scales_the_whole_gradient(shape: tuple[int, int], by_channel: bool, scale_first: bool) -> None:
    weights, expected = make_weights(shape, (5,)), make_weights(shape)[0].detach()
    mean = square = torch.zeros(())
    before = None
    tall = shape[0] >= shape[1]
    for step in range(4):
        (gradient,) = gradients([expected], step)
        if step % 2 == 0:
            u, _, v = torch.linalg.svd(gradient, full_matrices=False)
        small = gradient @ v[:2].T if tall else u[:, :2].T @ gradient
        mean = BETAS[0] * mean + (1 - BETAS[0]) * small
        square = BETAS[1] * square + (1 - BETAS[1]) * small**2
        moved = mean / (square.sqrt() + EPSILON)
        if by_channel:
            factor = moved.norm(dim=int(tall), keepdim=True) / small.norm(dim=int(tall), keepdim=True)
        else:
            factor = moved.norm() / small.norm()
        scaled = gradient * factor * (2.0 if scale_first else 1.0)
        if before is not None and scaled.norm() > 1.01 * before:
            scaled = scaled * 1.01 * before / scaled.norm()
        before = scaled.norm()
        scaled = scaled * (1.0 if scale_first else 2.0)
        correction = math.sqrt(1 - BETAS[1] ** (step + 1)) / (1 - BETAS[0] ** (step + 1))
        expected = expected * (1 - RATE * DECAY) - RATE * correction * scaled
    found = train(apollo(weights, by_channel=by_channel, scale_first=scale_first), weights, 4)
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], by_adamw([shape, (5,)], 4)[1])


def test_random_directions_keep_lengths_on_average_and_are_the_same_for_a_seed() -> None:
    matrix = torch.randn(400, 30, generator=torch.Generator().manual_seed(0))
    sides = random_directions(matrix, 200, "left", seed=5)
    again = random_directions(matrix, 200, "left", seed=5)
    assert sides[0] is not None
    assert again[0] is not None
    assert torch.equal(sides[0], again[0])
    assert float(project(matrix, sides).norm() / matrix.norm()) == pytest.approx(1.0, abs=0.1)
    assert project_back(project(matrix, sides), sides).shape == matrix.shape
    assert sides_of(torch.Size((3, 7)), "std") == (True, False)


# Adam-mini, Muon, LOMO


def test_adam_mini_has_one_second_moment_a_block() -> None:
    weights, expected = make_weights((6, 4)), make_weights((6, 4))[0].detach()
    optimizer = AdamMini([group(weights, blocks=[3])], **ADAM)
    mean, square = torch.zeros(6, 4), torch.zeros(3)
    for step in range(3):
        (gradient,) = gradients([expected], step)
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * torch.stack([part.square().mean() for part in gradient.split(2)])
        spread = (square / (1 - BETAS[1] ** (step + 1))).sqrt() + EPSILON
        moved = mean / (1 - BETAS[0] ** (step + 1)) / spread.repeat_interleave(2)[:, None]
        expected = expected * (1 - RATE * DECAY) - RATE * moved
    torch.testing.assert_close(train(optimizer, weights, 3)[0], expected)
    assert optimizer.state[weights[0]]["square"].shape == (3, 1)


@pytest.mark.parametrize(
    ("name", "shape", "blocks"),
    [
        ("layers.0.self_attn.q_proj.weight", (32, 8), 4),
        ("layers.0.self_attn.k_proj.weight", (16, 8), 2),
        ("layers.0.self_attn.v_proj.weight", (16, 8), 16),
        ("layers.0.self_attn.q_proj.lora_A.default.weight", (3, 8), 3),
        ("embed_tokens.weight", (100, 8), 100),
        ("layers.0.self_attn.q_norm.weight", (8,), 1),
        ("layers.0.self_attn.q_proj.bias", (32,), 32),
    ],
)
def test_blocks_are_heads_rows_or_the_whole(name: str, shape: tuple[int, ...], blocks: int) -> None:
    assert block_count(name, torch.zeros(shape), head_size=8) == blocks


def muon(weights: Weights) -> MuonWithAdamW:
    return MuonWithAdamW([group(weights[:1], muon=True), group(weights[1:], muon=False)], **ADAM)


def test_muon_moves_matrices_by_orthogonal_steps_of_the_size_of_adams() -> None:
    weights = make_weights((6, 4), (5,))
    start = weights[0].detach().clone()
    found = train(muon(weights), weights, 1)
    step = (start * (1 - RATE * DECAY) - found[0]) / (RATE * 0.2 * math.sqrt(6))
    # Five rounds of Newton and Schulz in bfloat16 bring the singular values near 1.
    values = torch.linalg.svdvals(step)
    assert values.min() > 0.6
    assert values.max() < 1.3
    torch.testing.assert_close(found[1], by_adamw([(6, 4), (5,)], 1)[1])


def test_lomo_is_plain_descent_and_adalomo_normalises() -> None:
    weights, start = make_weights((6, 4)), make_weights((6, 4))[0].detach()
    (gradient,) = gradients([start], 0)
    expected = start * (1 - RATE * DECAY) - RATE * gradient
    torch.testing.assert_close(train(Lomo([group(weights)], RATE), weights, 1)[0], expected)
    weights, square = make_weights((6, 4)), gradient.square() + 1e-30
    moved = gradient / (square.mean(1)[:, None] * square.mean(0) / square.mean()).sqrt()
    moved = moved / max(1.0, float(moved.square().mean().sqrt()))
    expected = start * (1 - RATE * DECAY) - RATE * float(start.square().mean().sqrt()) * moved
    torch.testing.assert_close(train(AdaLomo([group(weights)], RATE), weights, 1)[0], expected)


# Updates during the backward pass


@pytest.mark.parametrize("make", [galore, apollo, lambda weights: Lomo([group(weights)], RATE)])
def test_updates_in_the_backward_pass_are_those_of_a_step(make: Callable[[Weights], Any]) -> None:
    together, apart = make_weights((6, 4), (5,)), make_weights((6, 4), (5,))
    at_once = make(apart)
    at_once.update_in_backward(lambda: 0.0)
    train(at_once, apart, 1)
    assert all(weight.grad is None for weight in apart)
    train(at_once, apart, 2, first=1)
    train(make(together), together, 3)
    assert all(torch.equal(one, other) for one, other in zip(together, apart, strict=True))


def test_in_the_backward_pass_each_gradient_is_shortened_by_itself_and_the_norm_is_that_of_all() -> None:
    weights = make_weights((6, 4), (5,))
    before = [weight.detach().clone() for weight in weights]
    optimizer = Lomo([{"params": weights}], 1.0)
    optimizer.update_in_backward(lambda: 0.5)
    backward(weights, 0)
    norms = [gradient.norm() for gradient in gradients(before, 0)]  # type: ignore[arg-type]
    for old, new in zip(before, weights, strict=True):
        assert float((old - new).detach().norm()) == pytest.approx(0.5, rel=1e-4)
    found = optimizer.gathered_norm(0.5)
    assert found is not None
    assert float(found) == pytest.approx(float(torch.stack(norms).norm()))
    assert float(optimizer.gathered_norm(0.5)) == 0.0  # type: ignore[arg-type]


def test_in_the_backward_pass_a_gradient_that_is_not_finite_moves_nothing_and_is_counted() -> None:
    weights = make_weights((6, 4), (5,))
    before = [weight.detach().clone() for weight in weights]
    optimizer = Lomo([{"params": weights}], 1.0)
    optimizer.update_in_backward(lambda: 1.0)
    (weights[0].sum() * math.inf + weights[1].sum()).backward()
    assert torch.equal(weights[0], before[0])
    assert not torch.equal(weights[1], before[1])
    assert optimizer.left_out == 1
    assert not math.isfinite(float(optimizer.gathered_norm(1.0)))  # type: ignore[arg-type]


# BAdam


def badam(weights: Weights, turns: Any, base: Any = adamw) -> BlockOptimizer:
    named = [Weight(f"layers.{number}.weight", weight, True) for number, weight in enumerate(weights)]
    return BlockOptimizer(named, turns, base, rate=RATE, decay=DECAY)


def layer_turns(count: int, mode: str = "ascending", start: int | None = None, interval: int = 2) -> LayerTurns:
    return LayerTurns([[number] for number in range(count)], mode, start, interval, seed=4)


def test_the_layer_whose_turn_it_is_is_trained_by_the_base_and_no_other_has_a_gradient() -> None:
    weights = make_weights((6, 4), (5, 3))
    start = [weight.detach().clone() for weight in weights]
    optimizer = badam(weights, layer_turns(2))
    found = train(optimizer, weights, 2)
    torch.testing.assert_close(found[0], by_adamw([(6, 4), (5, 3)], 2)[0])
    assert torch.equal(found[1], start[1])
    # The second layer has its turn now, with fresh state.
    assert [weight.requires_grad for weight in weights] == [False, True]
    later = train(optimizer, weights, 1, first=2)
    expected = torch.nn.Parameter(start[1].clone())
    expected.grad = gradients(make_weights((6, 4), (5, 3)), 2)[1]
    adamw([{"params": [expected], "weight_decay": DECAY}]).step()
    torch.testing.assert_close(later[1], expected.detach())
    assert torch.equal(later[0], found[0])


def test_gradients_of_micro_batches_add_up_and_are_shortened_as_a_whole() -> None:
    weights = make_weights((6, 4))
    optimizer = badam(weights, layer_turns(1))
    backward(weights, 0)
    backward(weights, 1)
    norm = optimizer.gathered_norm(0.1)
    whole = sum(gradients(weights, step)[0] for step in (0, 1))
    assert isinstance(whole, torch.Tensor)
    assert norm is not None
    assert float(norm) == pytest.approx(float(whole.norm()))
    (share,) = optimizer.param_groups[0]["params"]
    assert float(share.grad.norm()) == pytest.approx(0.1, rel=1e-4)
    optimizer.zero_grad()
    assert share.grad is None


def test_weights_of_16_bits_have_a_copy_in_full_precision() -> None:
    """Steps smaller than what bfloat16 can tell apart add up all the same."""
    weight = torch.nn.Parameter(torch.full((8, 8), 100.0, dtype=torch.bfloat16))
    optimizer = badam([weight], layer_turns(1, interval=-1), lambda groups: torch.optim.SGD(groups))
    optimizer.param_groups[0].update(lr=1.0, weight_decay=0.0)
    for _ in range(40):
        (weight * 0.1).sum().backward()
        optimizer.step()
    assert float(weight.detach().float().mean()) == pytest.approx(96.0)


@pytest.mark.parametrize("scattered", [False, True])
def test_shares_reach_every_place_once_before_any_twice(scattered: bool) -> None:
    device = torch.device("cpu")
    turns = ShareTurns({0: 200, 1: 30}, {0: device, 1: device}, ratio=0.25, scattered=scattered, interval=1, seed=2)
    seen: list[int] = []
    for _ in range(4):
        parts = turns.parts()
        assert parts[1] is None
        assert parts[0] is not None
        seen += parts[0].tolist()
        turns.advance()
    assert sorted(seen) == list(range(200))
    assert (seen == sorted(seen)) is not scattered


def test_a_share_is_trained_by_the_base_and_the_rest_stays() -> None:
    weights = make_weights((20, 10))
    start = weights[0].detach().clone()
    device = torch.device("cpu")
    turns = ShareTurns({0: 200}, {0: device}, ratio=0.25, scattered=False, interval=2, seed=2)
    found = train(badam(weights, turns), weights, 2)[0]
    torch.testing.assert_close(found[:5], by_adamw([(20, 10)], 2)[0][:5])
    assert torch.equal(found[5:], start[5:])


@pytest.mark.parametrize(
    ("mode", "start", "order"),
    [
        ("ascending", None, [0, 1, 2, 0]),
        ("ascending", 2, [2, 0, 1, 2]),
        ("descending", None, [2, 1, 0, 2]),
        ("descending", 1, [1, 0, 2, 1]),
        ("fixed", 1, None),
    ],
)
def test_layers_take_turns_in_order(mode: str, start: int | None, order: list[int] | None) -> None:
    turns = layer_turns(3, mode, start)
    if order is None:
        assert turns.interval == -1
        assert turns.layer == start
        return
    found = []
    for _ in order:
        found.append(turns.layer)
        turns.advance()
    assert found == order


def test_a_random_order_takes_every_layer_in_each_round() -> None:
    turns = layer_turns(8, "random")
    found = []
    for _ in range(16):
        found.append(turns.layer)
        turns.advance()
    assert sorted(found[:8]) == sorted(found[8:]) == list(range(8))
    assert found[:8] != found[8:]


def test_layers_are_found_by_name_and_the_rest_is_left_out() -> None:
    names = ["embed.weight", "m.layers.0.a", "m.layers.0.b", "m.layers.10.a", "norm.weight"]
    assert layers_of(names) == [[1, 2], [3]]


# State


MAKERS: dict[str, Callable[[Weights], OwnOptimizer]] = {
    "galore": galore,
    "apollo": lambda weights: apollo(weights, random=True),
    "adam-mini": lambda weights: AdamMini([group(weights, blocks=[3, 5])], **ADAM),
    "muon": muon,
    "adalomo": lambda weights: AdaLomo([group(weights)], RATE),
    "badam": lambda weights: badam(weights, layer_turns(2, "random")),
}


@pytest.mark.parametrize("name", MAKERS)
def test_state_comes_back_without_a_pickle_and_training_goes_on_bit_by_bit(name: str) -> None:
    weights = make_weights((6, 4), (5,))
    optimizer = MAKERS[name](weights)
    schedule = LambdaLR(optimizer, lambda step: 1 / (1 + step))
    # As accelerate does, before anything has been trained.
    optimizer.load_state_dict(optimizer.state_dict())
    train(optimizer, weights, 3)
    schedule.step()
    kept = io.BytesIO()
    torch.save(optimizer.state_dict(), kept)
    kept.seek(0)
    resumed_weights = [torch.nn.Parameter(weight.detach().clone()) for weight in weights]
    resumed = MAKERS[name](resumed_weights)
    resumed.load_state_dict(torch.load(kept, weights_only=True))
    assert resumed.param_groups[0]["lr"] == pytest.approx(RATE / 2)
    for own, other in ((optimizer, weights), (resumed, resumed_weights)):
        train(own, other, 2, first=3)
    assert all(torch.equal(one, other) for one, other in zip(weights, resumed_weights, strict=True))


# Live changes


@pytest.mark.parametrize("name", MAKERS)
def test_a_rate_that_is_changed_live_moves_every_weight_less(name: str) -> None:
    moved: list[float] = []
    for rate in (RATE, RATE / 1000):
        weights = make_weights((6, 4), (5,))
        optimizer = MAKERS[name](weights)
        schedule = LambdaLR(optimizer, lambda step: 1.0)
        optimizer.load_state_dict(optimizer.state_dict())
        trainer: Any = SimpleNamespace(optimizer=optimizer, lr_scheduler=schedule)
        apply_setting(trainer, "weight_decay", 0.0)
        apply_setting(trainer, "learning_rate", rate)
        before = [weight.detach().clone() for weight in weights]
        after = train(optimizer, weights, 1)
        moved.append(max(float((one - other).abs().max()) for one, other in zip(before, after, strict=True)))
    assert moved[1] == pytest.approx(moved[0] / 1000, rel=0.02)


def test_a_decay_that_is_changed_live_reaches_every_group_that_decays() -> None:
    weights = make_weights((6, 4), (5,), (3,))
    groups = [group(weights[:1]), group(weights[1:2]), {"params": weights[2:], "weight_decay": 0.0, "decays": False}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    apply_setting(SimpleNamespace(optimizer=optimizer), "weight_decay", 0.3)
    assert [each["weight_decay"] for each in optimizer.param_groups] == [0.3, 0.3, 0.0]
