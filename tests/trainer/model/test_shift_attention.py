"""Shifted sparse attention against the paper written out token by token."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.tiny import make_tiny_model
from trainer.config import Recipe
from trainer.errors import UserError
from trainer.model.load import load_model
from trainer.model.shift_attention import shifted_sparse_attention
from trainer.run.messages import silent

HEADS, KEY_HEADS, WIDTH = 4, 2, 8
_Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def projections(length: int) -> _Tensors:
    """Random query, key and value of two rows."""
    torch.manual_seed(length)
    shapes = ((2, heads, length, WIDTH) for heads in (HEADS, KEY_HEADS, KEY_HEADS))
    query, key, value = (torch.randn(shape, requires_grad=True) for shape in shapes)
    return query, key, value


def layer(*, training: bool) -> Any:
    """What the attention looks at of the layer that calls it."""
    return SimpleNamespace(training=training, num_key_value_groups=HEADS // KEY_HEADS, is_causal=True)


def may_look(row: int, column: int, length: int, *, shifted: bool) -> bool:
    """Whether token `row` looks at token `column`: not later, and in the same quarter of the (shifted) sequence."""
    size = -(-length // 4)
    shift = size // 2 if shifted else 0
    group = [(token - shift) // size for token in (row, column)]
    return column <= row and group[0] == group[1]


def written_out(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, padding: int = 0) -> torch.Tensor:
    """One softmax for each row, head and token. Returns (batch, length, heads, width)."""
    batch, heads, length, width = query.shape
    rows = []
    for row in range(batch):
        for token in range(length):
            for head in range(heads):
                shared = head // (HEADS // KEY_HEADS)
                seen = [
                    other
                    for other in range(length - padding)
                    if may_look(token, other, length, shifted=head >= heads // 2)
                ] or [token]
                scores = key[row, shared, seen] @ query[row, head, token] / width**0.5
                rows.append(scores.softmax(0) @ value[row, shared, seen])
    return torch.stack(rows).view(batch, length, heads, width)


@pytest.mark.parametrize("length", [8, 16, 30, 33])
def test_training_looks_at_quarters_half_of_the_heads_at_shifted_ones(length: int) -> None:
    ours, reference = projections(length), projections(length)
    output, _ = shifted_sparse_attention(layer(training=True), *ours, None)
    expected = written_out(*reference)
    torch.testing.assert_close(output, expected)
    (output * output).sum().backward()
    (expected * expected).sum().backward()
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_padding_is_not_looked_at() -> None:
    length, padding = 24, 5
    query, key, value = projections(length)
    real = torch.arange(length) < length - padding
    mask = (torch.ones(length, length).tril().bool() & real).expand(2, 1, -1, -1)
    output, _ = shifted_sparse_attention(layer(training=True), query, key, value, mask)
    expected = written_out(query, key, value, padding)
    torch.testing.assert_close(output[:, real], expected[:, real])
    assert output.isfinite().all()


def test_evaluation_looks_at_everything() -> None:
    query, key, value = projections(16)
    output, _ = shifted_sparse_attention(layer(training=False), query, key, value, None, scaling=WIDTH**-0.5)
    full = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(output, full.transpose(1, 2))


def load(folder: Path) -> Any:
    keys: dict[str, object] = {"model.model_name_or_path": str(folder), "model.shift_attn": True, "train.bf16": False}
    return load_model(Recipe().with_values(keys), silent)


def test_a_model_trains_with_it_and_answers_without_it(tiny_model: Path, tmp_path: Path) -> None:
    model, tokens = load(tiny_model), torch.arange(3, 67)[None]
    with torch.no_grad():
        full, sparse = model.eval()(tokens).logits, model.train()(tokens).logits
    # The first quarter of a quarter sees all that came before it in both.
    torch.testing.assert_close(sparse[:, :8], full[:, :8])
    assert not torch.allclose(sparse[:, 40:], full[:, 40:], atol=1e-3)
    plain = load_model(Recipe().with_values({"model.model_name_or_path": str(tiny_model)}), silent)
    with torch.no_grad():
        torch.testing.assert_close(plain.eval()(tokens).logits, full)
    model.save_pretrained(tmp_path / "saved")
    assert "shifted" not in (tmp_path / "saved" / "config.json").read_text()


def test_what_cannot_be_replaced_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="shift_attn = True: the attention of Gemma2ForCausalLM cannot be replaced"):
        load(make_tiny_model(tmp_path / "gemma2", architecture="gemma2"))
