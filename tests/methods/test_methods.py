"""What must hold for every way to fine-tune. To add one: an entry in one of the lists of `cases`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from tests.methods.case import MethodCase, spelled_out
from tests.methods.cases import CASES
from tests.methods.training import Trained, Workshop, home_in
from tests.training_runs import losses_of
from trainer.chat.loading import load_for_chat
from trainer.model.merge import merge_adapter


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("methods")
    with home_in(folder):
        yield Workshop(folder)


@pytest.fixture(scope="module", params=CASES, ids=lambda each: each.name)
def method(request: pytest.FixtureRequest) -> MethodCase:
    found: MethodCase = request.param
    return found


@pytest.fixture(scope="module")
def trained(method: MethodCase, workshop: Workshop) -> Trained:
    """Each case is trained once for all tests of it."""
    return workshop.train(method)


@torch.no_grad()
def logits(model: object) -> torch.Tensor:
    """What a model says to a fixed text: (batch, sequence, vocabulary) float32."""
    tokens = torch.arange(3, 67).reshape(2, 32)
    found: torch.Tensor = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits.float()  # type: ignore[operator]
    return found


def test_the_loss_falls(trained: Trained) -> None:
    losses = list(losses_of(trained.run).values())
    assert losses[-1] < losses[0] - 0.01, losses


def test_exactly_the_intended_parameters_change(method: MethodCase, trained: Trained) -> None:
    intended = {name for pattern in method.changed for name in spelled_out(pattern)}
    assert sorted(trained.changed) == sorted(intended)


def test_the_checkpoint_loads_again_and_says_the_same(method: MethodCase, trained: Trained) -> None:
    model, context = load_for_chat(str(trained.checkpoint)).tuned()
    with context:
        torch.testing.assert_close(logits(model), logits(trained.model), rtol=0, atol=method.tolerance)


def test_stop_and_resume_gives_the_same_weights(trained: Trained, workshop: Workshop) -> None:
    resumed = workshop.train_again_from_the_middle(trained)
    assert list(losses_of(resumed.run)) == list(losses_of(trained.run))
    after = resumed.after
    assert [name for name, value in trained.after.items() if not torch.equal(value, after[name])] == []


def test_the_merged_model_says_what_the_adapter_says(method: MethodCase, trained: Trained) -> None:
    if not method.merges:
        pytest.skip("nothing to merge")
    before = logits(trained.model)
    merged = merge_adapter(trained.model)
    assert not any(isinstance(module, BaseTunerLayer) for module in merged.modules())
    torch.testing.assert_close(logits(merged), before, rtol=0, atol=method.tolerance)
