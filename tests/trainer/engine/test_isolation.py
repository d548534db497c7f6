"""No contamination: in a packed sequence no row sees another, whatever the model and its attention; if asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from accelerate import Accelerator
from transformers import AutoModelForCausalLM

from trainer.data.collate import IsolatingCollator, PaddingCollator
from trainer.engine.isolation import check_rows_stay_apart
from trainer.errors import UserError

SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": None,
}
WINDOW = 5
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": ("Qwen3Config", {"head_dim": 16}),
    "phi3": ("Phi3Config", {}),
    "mistral with a sliding window": ("MistralConfig", {"sliding_window": WINDOW}),
    "gemma3 with both kinds of layers": (
        "Gemma3TextConfig",
        {"head_dim": 16, "sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
    ),
}
MODELS = list(CONFIGS)
ATTENTIONS = ["eager", "sdpa"]
COLLATORS = {
    "packed": IsolatingCollator(0),
    "packed, rounded up": IsolatingCollator(0, pad_to_multiple_of=8),
    "padding-free": IsolatingCollator(0, flat=True),
    "padding-free, rounded up": IsolatingCollator(0, pad_to_multiple_of=8, flat=True),
}
# Rows longer than the window of the sliding models, of one token, and of the same length as their neighbour.
ROWS = [list(range(2, 2 + size)) for size in (9, 12, 1, 7, 7)]
SEQUENCES = [(0, 1), (2, 3, 4)]


def make_model(name: str, attention: str) -> Any:
    kind, own = CONFIGS[name]
    torch.manual_seed(0)
    config = getattr(transformers, kind)(**SIZES, **own)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention)


def example(*rows: list[int]) -> dict[str, Any]:
    starts = [sum(map(len, rows[:number])) for number in range(len(rows))]
    ids = [token for row in rows for token in row]
    return {"input_ids": ids, "labels": ids, "starts": starts}


def logits_of_rows(model: Any, collator: Any, rows: list[list[int]]) -> list[torch.Tensor]:
    """The logits of each row, from a batch in which they are packed as in SEQUENCES."""
    batch = collator([example(*(rows[number] for number in sequence)) for sequence in SEQUENCES])
    batch.pop("labels")
    with torch.no_grad():
        logits = model.eval()(**batch, use_cache=False).logits
    found: dict[int, torch.Tensor] = {}
    is_flat = logits.shape[0] == 1
    end = 0
    for line, sequence in enumerate(SEQUENCES):
        end = end if is_flat else 0
        for number in sequence:
            first, end = end, end + len(rows[number])
            found[number] = logits[0 if is_flat else line, first:end]
    return [found[number] for number in sorted(found)]


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("way", COLLATORS)
def test_a_row_does_not_see_its_neighbours(way: str, name: str, attention: str) -> None:
    model = make_model(name, attention)
    before = logits_of_rows(model, COLLATORS[way], ROWS)
    for changed in range(len(ROWS)):
        rows = [[63 - token for token in row] if number == changed else row for number, row in enumerate(ROWS)]
        after = logits_of_rows(model, COLLATORS[way], rows)
        for number in range(len(ROWS)):
            assert torch.equal(before[number], after[number]) == (number != changed)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("way", COLLATORS)
def test_a_packed_row_is_computed_as_if_it_were_alone(way: str, name: str, attention: str) -> None:
    model = make_model(name, attention)
    packed = logits_of_rows(model, COLLATORS[way], ROWS)
    for row, logits in zip(ROWS, packed, strict=True):
        with torch.no_grad():
            alone = model(input_ids=torch.tensor([row]), use_cache=False).logits[0]
        torch.testing.assert_close(logits, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", MODELS)
def test_plainly_packed_rows_do_see_each_other(name: str, attention: str) -> None:
    model = make_model(name, attention)
    before = logits_of_rows(model, PaddingCollator(0), ROWS)
    after = logits_of_rows(model, PaddingCollator(0), [[63 - token for token in ROWS[0]], *ROWS[1:]])
    assert not torch.equal(before[1], after[1])
    assert torch.equal(before[3], after[3]), "another sequence is never seen"


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("way", COLLATORS)
@pytest.mark.parametrize("name", ["qwen3", "gemma3 with both kinds of layers"])
def test_loss_and_gradients_are_those_of_unpacked_rows(name: str, way: str, attention: str) -> None:
    model = make_model(name, attention)
    padded = PaddingCollator(0)([example(row) for row in ROWS])
    packed = COLLATORS[way]([example(*(ROWS[number] for number in sequence)) for sequence in SEQUENCES])
    losses, gradients = [], []
    for batch in (padded, packed):
        model.zero_grad()
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        losses.append(loss.item())
        gradients.append([parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None])
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_check_before_training_lets_these_models_pass(name: str, flat: bool) -> None:
    model = make_model(name, "sdpa").train()
    random_state = torch.get_rng_state()
    check_rows_stay_apart(model, Accelerator(cpu=True), IsolatingCollator(0, 8, flat=flat), "neat_packing")
    assert model.training
    assert torch.equal(random_state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("BloomConfig", {"n_layer": 2, "n_head": 2}),
        ("MambaConfig", {"state_size": 8}),
    ],
)
def test_a_model_that_mixes_the_rows_is_refused(kind: str, own: dict[str, Any]) -> None:
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "pad_token_id", "eos_token_id")
    torch.manual_seed(0)
    config = getattr(transformers, kind)(**{name: SIZES[name] for name in names}, **own)
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(UserError, match=r"neat_packing = True: the rows of a sequence would see each other") as caught:
        check_rows_stay_apart(model, Accelerator(cpu=True), IsolatingCollator(0), "neat_packing")
    assert type(model).__name__ in str(caught.value)


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("way", ["padding-free", "padding-free, rounded up"])
def test_flash_attention_keeps_rows_of_a_flat_batch_apart(way: str, name: str) -> None:
    pytest.importorskip("flash_attn")
    model = make_model(name, "flash_attention_2").to("cuda", torch.bfloat16)
    collator = COLLATORS[way]

    def on_gpu(examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        return {key: values.to("cuda") for key, values in collator(examples).items()}

    before = logits_of_rows(model, on_gpu, ROWS)
    after = logits_of_rows(model, on_gpu, [[63 - token for token in ROWS[0]], *ROWS[1:]])
    assert not torch.equal(before[0], after[0])
    assert all(torch.equal(one, other) for one, other in zip(before[1:], after[1:], strict=True))
