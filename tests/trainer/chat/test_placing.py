"""Loading the weights of a chat: their format, in few bits, and what does not fit into the memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from trainer.chat import placing
from trainer.chat.loading import load_for_chat
from trainer.chat.placing import inference_dtype
from trainer.model.loading_record import LoadingRecord
from trainer.model.quantization import Quantization
from trainer.model.spread import is_spread_out

TOKENS = torch.arange(3, 43)[None]


@pytest.mark.parametrize(("asked", "dtype"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_format_of_the_weights(tiny_model: Path, asked: str, dtype: torch.dtype) -> None:
    assert inference_dtype(asked) is dtype
    assert load_for_chat(str(tiny_model), settings={"infer_dtype": asked}).model.dtype is dtype


def test_a_model_can_be_chatted_with_in_four_bits(tiny_model: Path) -> None:
    loaded = load_for_chat(str(tiny_model), settings={"quantization_bit": 4, "use_kv_cache": False})
    assert loaded.record.quantization == Quantization("bnb", 4, "nf4", True)
    assert not loaded.record.use_kv_cache
    assert loaded.model.is_loaded_in_4bit


def test_settings_go_before_what_the_checkpoint_says(tmp_path: Path, tiny_model: Path) -> None:
    checkpoint = shutil.copytree(tiny_model, tmp_path / "checkpoint")
    record = LoadingRecord(Quantization("bnb", 8, "nf4", False), infer_dtype="bfloat16", use_kv_cache=False)
    (checkpoint / "trimtab.json").write_text(json.dumps({"loading": record.as_json()}))
    assert LoadingRecord.of_checkpoint(checkpoint) == record
    changed = record.with_settings({"quantization_bit": 4, "infer_dtype": "float32"})
    assert changed == LoadingRecord(Quantization("bnb", 4, "nf4", False), infer_dtype="float32", use_kv_cache=False)


@pytest.mark.parametrize("tuned", [False, True])
def test_what_does_not_fit_into_the_memory_lies_on_the_disk(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tuned: bool
) -> None:
    adapter = str(make_adapter(tiny_model, tmp_path)) if tuned else None

    def answer() -> tuple[torch.Tensor, list[int]]:
        loaded = load_for_chat(str(tiny_model), adapter, {"offload_folder": str(tmp_path / "offload")})
        assert is_spread_out(loaded.model) == (placing.memory_left() == 80_000)
        tokens = TOKENS.to(loaded.device)
        with torch.no_grad():
            said = loaded.model.generate(input_ids=tokens, max_new_tokens=4, do_sample=False)
            return loaded.model(tokens).logits, said[0].tolist()

    whole, words = answer()
    monkeypatch.setattr(placing, "memory_left", lambda: 80_000)
    spread, same_words = answer()
    torch.testing.assert_close(spread, whole)
    assert same_words == words


def make_adapter(model: Path, folder: Path) -> Path:
    """A LoRA adapter that changes what the model says."""
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(model), config).save_pretrained(folder / "adapter")
    return folder / "adapter"
