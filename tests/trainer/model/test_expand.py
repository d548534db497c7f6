"""LLaMA Pro's expansion: the larger model says the same, whatever its architecture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.tiny import ARCHITECTURES, make_tiny_model
from trainer.errors import UserError
from trainer.model.expand import expand_model


def logits(folder: Path) -> torch.Tensor:
    model, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert (told["missing_keys"], told["unexpected_keys"]) == (set(), set())
    found: torch.Tensor = model.eval()(torch.arange(3, 35)[None]).logits
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_larger_model_says_the_same(tmp_path: Path, architecture: str) -> None:
    model = make_tiny_model(tmp_path / "small", architecture=architecture)
    assert expand_model(model, tmp_path / "large", 2) == [1, 3]
    assert torch.equal(logits(tmp_path / "large"), logits(model))
    assert (tmp_path / "large" / "tokenizer.json").is_file()


def test_a_model_in_several_files_is_expanded(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "small", architecture="llama")
    whole = load_file(model / "model.safetensors")
    names = sorted(whole)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: whole[name] for name in held}, model / file, metadata={"format": "pt"})
    where = {name: file for file, held in parts.items() for name in held}
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    (model / "model.safetensors").unlink()
    expand_model(model, tmp_path / "large", 1)
    assert torch.equal(logits(tmp_path / "large"), logits(model))


def test_a_quantized_model_is_refused(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "small")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(UserError, match="a quantized model cannot be expanded"):
        expand_model(model, tmp_path / "large", 1)
    assert not (tmp_path / "large").exists()
