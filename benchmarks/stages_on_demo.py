"""Every stage on the bundled demo model and its bundled set: what held-out rows say before, in the middle and after.

    python -m benchmarks.stages_on_demo [demo-dpo ...]

Each preset is run as it is shipped, in a process of its own. Printed are the evaluations, and for dpo and kto how many
greedy answers to questions that were held back are friendly, as the better answers are, and how many are right.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from scripts.demo_preferences import CLOSINGS, CLOSINGS_ZH
from trainer.chat.loading import load_for_chat
from trainer.config import Hardware, load_preset, resolve
from trainer.data import prepare
from trainer.run import RunDirectory, create_run, latest_checkpoint, read_events

PRESETS = ("demo-pt", "demo-rm", "demo-dpo", "demo-kto")
FIGURES = {
    "demo-pt": ("eval_loss", "eval_perplexity"),
    "demo-rm": ("eval_loss", "eval_accuracy", "eval_margin"),
    "demo-dpo": ("eval_loss", "eval_rewards/accuracies", "eval_rewards/margins"),
    "demo-kto": ("eval_loss", "eval_rewards/chosen", "eval_rewards/rejected", "eval_kl"),
}


def train(preset: str, folder: Path) -> tuple[RunDirectory, float]:
    """Run a preset; the run and the CPU seconds of its process."""
    resolved = resolve(load_preset(preset).recipe, Hardware.detect())
    run = create_run(preset, resolved, name=None, folder=folder / preset, extra_identity={})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "trainer", "train", str(run.path)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{preset} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return run, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def evaluations(run: RunDirectory) -> list[tuple[int, dict[str, float]]]:
    """Step and figures of each evaluation."""
    return [(each.event.step, each.event.values) for each in read_events(run) if each.event.kind == "evaluation"]


def manners(run: RunDirectory) -> str:
    """Greedy answers to questions of pairs that were held back, before and after: friendly ones and right ones."""
    pairs = resolve(load_preset("demo-dpo").recipe, Hardware.detect()).recipe
    held = prepare(pairs).evaluation
    checkpoint = latest_checkpoint(run.checkpoints_folder)
    assert held is not None
    assert checkpoint is not None
    loaded = load_for_chat(str(checkpoint.path))
    wanted = [loaded.tokenizer.decode(row.columns["chosen_ids"], skip_special_tokens=True) for row in held]
    prompts = [torch.tensor([row.columns["prompt_ids"]]) for row in held]
    told = []
    for name, (model, context) in (("before", loaded.untuned()), ("after", loaded.tuned())):
        with context, torch.no_grad():
            outputs = [
                model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=48)
                for ids in prompts
            ]
        answers = [
            loaded.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True).strip()
            for output, ids in zip(outputs, prompts, strict=True)
        ]
        friendly = sum(answer.endswith(CLOSINGS + CLOSINGS_ZH) for answer in answers)
        right = sum(_bare(answer) == _bare(better) for answer, better in zip(answers, wanted, strict=True))
        told.append(f"{name} {friendly} friendly, {right} right")
    return f"greedy answers to {len(wanted)} unseen questions: {'; '.join(told)}"


def _bare(answer: str) -> str:
    """An answer without its friendly word."""
    for closing in CLOSINGS + CLOSINGS_ZH:
        answer = answer.removesuffix(closing)
    return answer.strip()


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    chosen = parser.parse_args().presets
    with tempfile.TemporaryDirectory() as folder:
        for preset in chosen:
            run, seconds = train(preset, Path(folder))
            told = evaluations(run)
            print(f"{preset}: {seconds:.0f} CPU seconds")
            for step, values in told:
                print(f"  step {step:3}: " + ", ".join(f"{name} {values[name]:.3f}" for name in FIGURES[preset]))
            if preset in ("demo-dpo", "demo-kto"):
                print(f"  {manners(run)}", flush=True)


if __name__ == "__main__":
    main()
