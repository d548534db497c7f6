"""The yardstick: the demo job as a bare TRL script, the way its documentation shows it. Run by sft_against_trl.py.

usage: python bare_trl.py MODEL DATA.json OUTPUT STEPS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer


class _FirstStep(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        if state.global_step == 1:
            print(f"first step at {time.time()}", flush=True)


def main() -> None:
    """Train LoRA r=8 on prompt and completion rows with checkpoints every 40 steps."""
    model_path, data, output, steps = sys.argv[1:5]
    rows = json.loads(Path(data).read_text(encoding="utf-8"))
    dataset = Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": row["instruction"]}],
                "completion": [{"role": "assistant", "content": row["output"]}],
            }
            for row in rows
        ]
    )
    arguments = SFTConfig(
        output_dir=output,
        max_steps=int(steps),
        per_device_train_batch_size=8,
        learning_rate=3e-3,
        lr_scheduler_type="cosine",
        warmup_steps=5,
        logging_steps=1,
        save_steps=40,
        report_to="none",
        bf16=torch.cuda.is_available(),
        gradient_checkpointing=torch.cuda.is_available(),
        disable_tqdm=True,
        seed=42,
    )
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(
            model_path, dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32
        ),
        args=arguments,
        train_dataset=dataset,
        processing_class=AutoTokenizer.from_pretrained(model_path),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[_FirstStep()],
    )
    trainer.train()


if __name__ == "__main__":
    main()
