"""DFT, ASFT and EAFT against their formulas: on logits made up here, and in whole runs, however rows are batched."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.tiny import make_tiny_model
from tests.training_runs import TrainingRuns, events_of, losses_of, weights_of
from trainer.config import Recipe
from trainer.run.messages import silent
from trainer.stages import sft_losses
from trainer.stages.reference import make_reference
from trainer.stages.sft_losses import Head, dft, divergence, eaft, entropy_of_likeliest, untuned_states

TOKENS, WIDTH, VOCABULARY = 7, 6, 30
LOSSES = ("nll", "dft", "asft", "eaft")
ALPHA = 0.7
# Gradients times p are small while the model knows nothing.
RATES = {"nll": 0.09, "eaft": 0.09, "dft": 3.0, "asft": 3.0}
SWITCHES: dict[str, dict[str, Any]] = {
    "nll": {},
    "dft": {"use_dft_loss": True},
    "asft": {"use_asft_loss": True, "asft_alpha": ALPHA},
    "eaft": {"use_eaft_loss": True, "eaft_alpha": ALPHA},
}


def by_formula(name: str, logits: torch.Tensor, untuned: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Each token's loss from (tokens, vocabulary) logits, written out."""
    probabilities = torch.softmax(logits, dim=-1)
    p = probabilities[torch.arange(len(labels)), labels]
    if name == "nll":
        return -p.log()
    if name == "eaft":
        twenty = torch.sort(logits.detach(), dim=-1, descending=True).values[:, :20]
        among = torch.softmax(twenty, dim=-1)
        entropy = -(among * among.log()).sum(dim=-1)
        return (entropy / 3) ** ALPHA * -p.log()
    loss = p.detach() * -p.log()
    if name == "asft":
        q = torch.softmax(untuned, dim=-1)
        loss = loss + ALPHA * (q * (q / probabilities).log()).sum(dim=-1)
    return loss


@pytest.fixture
def world() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    drawn = {
        "hidden": torch.randn(TOKENS, WIDTH, generator=generator),
        "untuned": torch.randn(TOKENS, WIDTH, generator=generator),
        "weight": 2 * torch.randn(VOCABULARY, WIDTH, generator=generator),
        "labels": torch.randint(VOCABULARY, (TOKENS,), generator=generator),
    }
    drawn["hidden"].requires_grad_()
    drawn["weight"].requires_grad_()
    return drawn


def ours(name: str, world: dict[str, torch.Tensor], head: Head) -> torch.Tensor:
    logits = head.logits(world["hidden"])
    log_probs = logits.log_softmax(dim=-1)[torch.arange(TOKENS), world["labels"]]
    if name == "eaft":
        return eaft(log_probs, entropy_of_likeliest(world["hidden"], head), ALPHA)
    if name == "asft":
        return dft(log_probs) + ALPHA * divergence(world["hidden"], head, world["untuned"], head)
    return dft(log_probs)


@pytest.mark.parametrize("at_once", [2**25, 2 * VOCABULARY])
@pytest.mark.parametrize(("scale", "limit"), [(1.0, None), (0.5, 3.0)])
@pytest.mark.parametrize("name", LOSSES[1:])
def test_loss_and_gradient_are_those_of_the_formula(
    world: dict[str, torch.Tensor],
    name: str,
    scale: float,
    limit: float | None,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sft_losses, "_LOGITS_AT_ONCE", at_once)
    inputs = [world["hidden"], world["weight"]]
    found = ours(name, world, Head(world["weight"], None, scale, limit))
    gradients = torch.autograd.grad(found.sum(), inputs)

    def full(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        logits = scale * hidden @ weight.t()
        return logits if limit is None else limit * torch.tanh(logits / limit)

    with torch.no_grad():
        untuned = full(world["untuned"], world["weight"])
    expected = by_formula(name, full(*inputs), untuned, world["labels"])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected.sum(), inputs))


def train_by_formula(runs: TrainingRuns, name: str, rows: list[Any], steps: int, rate: float) -> list[float]:
    """The losses of gradient descent on four rows a step, in plain torch."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(runs.model, dtype=torch.float32)
    untuned = copy.deepcopy(model)
    losses: list[float] = []
    for step in range(steps):
        total, tokens = torch.zeros(()), 0
        for row in rows[4 * step : 4 * step + 4]:
            ids = torch.tensor([row.input_ids])
            labels = torch.tensor(row.labels[1:])
            learned = labels != -100
            with torch.no_grad():
                before = untuned(ids).logits[0, :-1][learned]
            total = total + by_formula(name, model(ids).logits[0, :-1][learned], before, labels[learned]).sum()
            tokens += int(learned.sum())
        model.zero_grad()
        (total / tokens).backward()
        losses.append(float(total.detach()) / tokens)
        with torch.no_grad():
            for weight in model.parameters():
                weight -= rate * weight.grad
    return losses


def test_runs_follow_the_formulas_however_their_rows_are_batched(runs: TrainingRuns) -> None:
    """Three steps: every one sees weights that the gradients before it have moved."""
    from trainer.data import prepare

    found: dict[str, list[float]] = {}
    for name in LOSSES:
        for size in (1, 4):
            run = runs.create(
                f"{name}-{size}",
                method={"finetuning_type": "full", "disable_shuffling": True, **SWITCHES[name]},
                train={
                    "max_steps": 3,
                    "per_device_train_batch_size": size,
                    "gradient_accumulation_steps": 4 // size,
                    "optim": "sgd",
                    "learning_rate": RATES[name],
                    "lr_scheduler_type": "constant",
                    "max_grad_norm": 0.0,
                    "save_strategy": "no",
                },
            )
            assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
            found[f"{name}-{size}"] = list(losses_of(run).values())
        expected = train_by_formula(runs, name, list(prepare(run.recipe()).train), 3, RATES[name])
        assert found[f"{name}-1"] == pytest.approx(expected, rel=1e-4)
        assert found[f"{name}-4"] == pytest.approx(expected, rel=1e-4)
    last = sorted(found[f"{name}-4"][-1] for name in LOSSES)
    assert all(right > 1.001 * left for left, right in itertools.pairwise(last)), found


def test_the_evaluation_is_the_plain_loss_and_says_so(runs: TrainingRuns) -> None:
    from transformers import AutoModelForCausalLM

    from trainer.data import prepare

    run = runs.create(
        "plain",
        method={"finetuning_type": "full", "use_dft_loss": True, "compute_accuracy": True},
        data={"val_size": 8},
        train={"max_steps": 2, "eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": 3},
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    model = AutoModelForCausalLM.from_pretrained(run.checkpoints_folder / "step-00000002", dtype=torch.float32).eval()
    rows = prepare(run.recipe()).evaluation
    assert rows is not None
    losses, right = [], []
    with torch.no_grad():
        for row in rows:
            labels = torch.tensor(row.labels[1:])
            logits = model(torch.tensor([row.input_ids])).logits[0, :-1][labels != -100]
            losses += torch.nn.functional.cross_entropy(logits, labels[labels != -100], reduction="none").tolist()
            right += (logits.argmax(dim=-1) == labels[labels != -100]).tolist()
    values = events_of(run, "evaluation")[0].values
    assert values["eval_loss"] == pytest.approx(math.fsum(losses) / len(losses), rel=1e-5)
    assert values["eval_accuracy"] == pytest.approx(sum(right) / len(right), rel=1e-6)
    assert [event.id for event in events_of(run, "finding") if event.id == "run_loss_of_tokens"]


Inputs = dict[str, torch.Tensor]


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Any]:
    from transformers import AutoModelForCausalLM

    folder = make_tiny_model(tmp_path_factory.mktemp("small") / "llama", architecture="llama")
    return lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_without_its_adapters_the_tuned_model_is_the_untuned_one(small: Callable[[], Any]) -> None:
    from peft import LoraConfig, get_peft_model

    untuned, inputs = small().eval(), {"input_ids": torch.arange(3, 19).reshape(2, 8)}
    adapters = LoraConfig(target_modules="all-linear", init_lora_weights=False, lora_dropout=0.5)
    tuned = get_peft_model(small(), adapters).train()
    hidden, head = untuned_states(make_reference(tuned, Recipe(), silent), inputs)
    assert tuned.training
    torch.testing.assert_close(head.logits(hidden), untuned(**inputs).logits)
    assert not torch.allclose(tuned(**inputs).logits, untuned(**inputs).logits)


def test_the_untuned_model_stays_behind_also_where_its_output_layer_is_trained(small: Callable[[], Any]) -> None:
    untuned, tuned, inputs = small().eval(), small(), {"input_ids": torch.arange(3, 19).reshape(2, 8)}
    reference = make_reference(tuned, Recipe(), silent)
    with torch.no_grad():
        for weight in tuned.parameters():
            weight.mul_(1.5)
    hidden, head = untuned_states(reference, inputs)
    torch.testing.assert_close(head.logits(hidden), untuned(**inputs).logits)
    assert not torch.allclose(tuned(**inputs).logits, untuned(**inputs).logits)


def test_the_anchor_holds_an_adapter_back(runs: TrainingRuns) -> None:
    """With lora too: the model of a run with a heavy anchor is nearer to the untuned one."""
    sizes: list[float] = []
    for name, method in {"free": SWITCHES["dft"], "held": {"use_asft_loss": True, "asft_alpha": 100.0}}.items():
        run = runs.create(name, method=method, lora={"lora_dropout": 0.0}, train={"max_steps": 8})
        assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
        weights = weights_of(run, 8)
        sizes.append(sum(float(value.norm()) for name, value in weights.items() if "lora_B" in name))
    assert sizes[1] < 0.9 * sizes[0], sizes
