"""Toy rewards on the demo model: do ppo, grpo and rloo raise each of them, for several seeds, and does TRL too?

    python -m benchmarks.toy_rewards [--seeds 1 2 3] [--rewards contains ...] [--ways ppo-lora ...] [--rate 1e-3]

Ours and TRL's GRPOTrainer and RLOOTrainer get the same model, prompts, adapter, rewards and settings; full tuning has a
tenth of the learning rate. A line tells the reward of the first step, the mean of the last ten, and the KL distance at
the end: of ours summed over an answer, of TRL's for a token. For ppo it also tells which share of the variance of the
returns the value head foretells, and which share of the tokens is outside of the clip range.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.config import Hardware, load_preset, resolve
from trainer.run import create_run, read_events

STEPS = 40
GROUP = 8
ANSWERS = 32
NEW_TOKENS = 16
REWARDS: dict[str, dict[str, object]] = {
    "contains hello": {"reward_funcs": ["contains"], "reward_words": ["hello"]},
    "shorter": {"reward_funcs": ["length"], "reward_length": 4},
    "begins with A": {"reward_funcs": ["regex"], "reward_regex": r"\AA"},
    "has a digit": {"reward_funcs": ["regex"], "reward_regex": r"\d"},
}
WAYS = ("ppo-lora", "ppo-full", "grpo-lora", "rloo-lora", "trl-grpo", "trl-rloo")
_IN_WORDS: dict[str, Callable[[str, int], float]] = {
    "contains hello": lambda text, _: float("hello" in text.casefold()),
    "shorter": lambda _, tokens: min(1.0, max(0.0, 2 - tokens / 4)),
    "begins with A": lambda text, _: float(re.search(r"\AA", text) is not None),
    "has a digit": lambda text, _: float(re.search(r"\d", text) is not None),
}
"""The same rewards for TRL: of a text and its number of tokens."""


def ours(way: str, reward: str, seed: int, rate: float, folder: str) -> list[dict[str, float]]:
    """The figures of each step of a run."""
    from trainer.training import train

    stage, method = way.split("-")
    values = {
        "method.stage": stage,
        "method.finetuning_type": method,
        "generation.temperature": 1.0,
        "generation.max_new_tokens": NEW_TOKENS,
        "train.learning_rate": rate if method == "lora" else rate / 10,
        "train.max_steps": STEPS,
        "train.seed": seed,
        "train.logging_steps": 1,
        "train.per_device_train_batch_size": ANSWERS,
        "train.save_steps": STEPS,
        **{f"reward.{name}": value for name, value in REWARDS[reward].items()},
    }
    preset = load_preset("demo-ppo" if stage == "ppo" else "demo-grpo").recipe
    resolved = resolve(preset.with_values(values), Hardware.detect())
    run = create_run("toy", resolved, name=None, folder=Path(folder), extra_identity={})
    log = os.open(run.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if train(run.path, resume=False):
        raise SystemExit(run.log_file.read_text()[-2000:])
    return [record.event.values for record in read_events(run) if record.event.kind == "metrics"]


def trl(way: str, reward: str, seed: int, rate: float, folder: str) -> list[dict[str, float]]:
    """The same by TRL."""
    import torch
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trainer.paths import shipped_folder

    home = shipped_folder("data")
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(home / "demo_model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(home / "demo_model")
    lines = (home / "prompts_sample.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [{"prompt": [{"role": "user", "content": json.loads(line)["prompt"]}]} for line in lines]
    of = _IN_WORDS[reward]

    def rewards(completions: list[Any], completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [of(each[0]["content"], len(ids)) for each, ids in zip(completions, completion_ids, strict=True)]

    is_rloo = way == "trl-rloo"
    kind = trl.RLOOConfig if is_rloo else trl.GRPOConfig
    more = {} if is_rloo else {"loss_type": "grpo", "scale_rewards": "group", "use_bias_correction_kl": False}
    arguments = kind(
        output_dir=folder,
        max_steps=STEPS,
        learning_rate=rate,
        lr_scheduler_type="constant",
        per_device_train_batch_size=ANSWERS,
        num_generations=GROUP,
        max_completion_length=NEW_TOKENS,
        temperature=1.0,
        beta=0.04,
        seed=seed,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        **more,
    )
    trainer = (trl.RLOOTrainer if is_rloo else trl.GRPOTrainer)(
        model=model,
        reward_funcs=rewards,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    trainer.train()
    return [entry for entry in trainer.state.log_history if "reward" in entry]


def _child(way: str, reward: str, seed: int, rate: float, file: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = (trl if way.startswith("trl") else ours)(way, reward, seed, rate, f"{folder}/run")
    Path(file).write_text(json.dumps(found), encoding="utf-8")


def figures(way: str, reward: str, seed: int, rate: float) -> list[dict[str, float]]:
    """The figures of each step, from a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer.building", "trainer.training"])
    with tempfile.NamedTemporaryFile() as file:
        process = context.Process(target=_child, args=(way, reward, seed, rate, file.name))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{way}, {reward}, seed {seed} failed")
        found: list[dict[str, float]] = json.loads(Path(file.name).read_text(encoding="utf-8"))
        return found


def line(way: str, found: list[dict[str, float]]) -> str:
    """First and last reward, KL, and what else there is."""

    def mean(name: str, entries: list[dict[str, float]]) -> float:
        values = [entry[name] for entry in entries if name in entry]
        return sum(values) / len(values) if values else float("nan")

    distance = "KL a token" if way.startswith("trl") else "KL"
    first, last = mean("reward", found[:1]), mean("reward", found[-10:])
    told = f"{first:.2f} -> {last:.2f}, {distance} {mean('kl', found[-10:]):.2f}"
    for name in ("value_explained", "clipped"):
        if name in found[0]:
            told += f", {name} {mean(name, found[-10:]):.2f}"
    return told


def main() -> None:
    """Run all that is asked for and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rewards", nargs="+", choices=tuple(REWARDS), default=tuple(REWARDS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--rate", type=float, default=1e-3)
    chosen = parser.parse_args()
    for reward in chosen.rewards:
        for way in chosen.ways:
            for seed in chosen.seeds:
                told = line(way, figures(way, reward, seed, chosen.rate))
                print(f"{reward} | {way} | seed {seed} | {told}", flush=True)


if __name__ == "__main__":
    main()
