"""What `trimtab estimate` says of the presets for a model of 8B on a card with 80 GiB and on one with 24 GiB.

    python -m benchmarks.presets_on_cards [dpo-lora ...]

The model is a configuration of Qwen3-8B's shape without weights; rows are as long as `cutoff_len`. Nothing runs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from transformers import AutoConfig

from trainer.config import Hardware, load_preset, resolve
from trainer.estimate import answer
from trainer.model.memory import Device

PRESETS = ("pt-lora", "sft-lora", "qlora-4bit", "rm-lora", "dpo-lora", "kto-lora", "ppo-lora", "grpo-lora")
GIBI = 2**30
CARDS = (80, 24)
GPU = Hardware(cuda=True, bf16=True, gpu_count=1, cpu_cores=16)
SHAPE = {
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "tie_word_embeddings": False,
}


def main() -> None:
    """A line for each preset and card, and below it what would make it fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        AutoConfig.for_model("qwen3", **SHAPE).save_pretrained(model)
        for preset in asked.presets:
            loaded = load_preset(preset, [f'model_name_or_path="{model}"'])
            recipe = resolve(loaded.recipe, GPU).recipe
            for card in CARDS:
                told = answer(recipe, (Device(f"{card} GiB", True, card * GIBI, card * GIBI),))
                print(f"{preset} on {card} GiB: {told.memory.total / GIBI:.1f} GiB, {told.verdict}", flush=True)
                for saving in told.savings[:3]:
                    print(f"    {saving}")


if __name__ == "__main__":
    main()
