"""Every stage on the bundled demo model and its bundled set: what held-out rows say before, in the middle and after.

    python -m benchmarks.stages_on_demo [demo-dpo ...] [--pictures docs/images]

Each preset is run as it is shipped, in a process of its own. Printed are the evaluations, and for dpo and kto how many
greedy answers to new questions are friendly, as the better answers are, and how many are right.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.held_out_answers import by_flaw, manners, separation
from trainer.config import Hardware, load_preset, resolve
from trainer.run import RunDirectory, create_run, read_events
from trainer.run.loss_picture import curves_svg, run_curves

PRESETS = ("demo-pt", "demo", "demo-rm", "demo-dpo", "demo-kto")
FIGURES = {
    "demo": ("eval_loss",),
    "demo-pt": ("eval_loss", "eval_perplexity"),
    "demo-rm": ("eval_loss", "eval_accuracy", "eval_margin"),
    "demo-dpo": ("eval_loss", "eval_rewards/accuracies", "eval_rewards/margins"),
    "demo-kto": ("eval_loss", "eval_rewards/chosen", "eval_rewards/rejected", "eval_kl"),
}


CURVES = {
    "demo": ("loss", "eval_loss"),
    "demo-pt": ("loss", "eval_loss"),
    "demo-rm": ("accuracy", "eval_accuracy", "loss", "eval_loss"),
    "demo-dpo": ("rewards/chosen", "rewards/rejected", "eval_rewards/accuracies"),
    "demo-kto": ("rewards/chosen", "rewards/rejected", "eval_rewards/chosen", "eval_rewards/rejected"),
    "demo-ppo": ("reward", "kl"),
    "demo-grpo": ("reward", "groups_of_one_mind"),
}
"""What the pictures in docs/stages.md show."""


def train(preset: str, folder: Path, changes: Sequence[str] = ()) -> tuple[RunDirectory, float]:
    """Run a preset; the run and the CPU seconds of its process."""
    resolved = resolve(load_preset(preset, list(changes)).recipe, Hardware.detect())
    run = create_run(preset, resolved, name=None, folder=folder / preset, extra_identity={})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "trainer", "train", str(run.path)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{preset} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return run, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def draw(preset: str, run: RunDirectory, folder: Path | None) -> None:
    """The picture of a run, where pictures are wanted."""
    if folder is not None:
        picture = curves_svg(f"trimtab train {preset}", run_curves(run, CURVES[preset]))
        (folder / f"{preset}.svg").write_text(picture, encoding="utf-8")


def evaluations(run: RunDirectory) -> list[tuple[int, dict[str, float]]]:
    """Step and figures of each evaluation."""
    return [(each.event.step, each.event.values) for each in read_events(run) if each.event.kind == "evaluation"]


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="a setting over the preset's")
    parser.add_argument("--pictures", type=Path, help="draw the curves into this folder, such as docs/images")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for preset in asked.presets:
            run, seconds = train(preset, Path(folder), asked.set)
            draw(preset, run, asked.pictures)
            told = evaluations(run)
            print(f"{preset}: {seconds:.0f} CPU seconds")
            for step, values in told:
                print(f"  step {step:3}: " + ", ".join(f"{name} {values[name]:.3f}" for name in FIGURES[preset]))
            if preset in ("demo-dpo", "demo-kto"):
                print(f"  {manners(run)}", flush=True)
            if preset == "demo-kto":
                print(f"  {separation(run)}", flush=True)
            if preset in ("demo-rm", "demo-dpo"):
                print(f"  in the right order: {by_flaw(run, preset)}", flush=True)


if __name__ == "__main__":
    main()
