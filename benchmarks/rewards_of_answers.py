"""The demo presets of ppo and grpo as they are shipped: reward and distance from the reference, step by step.

    python -m benchmarks.rewards_of_answers [demo-ppo demo-grpo ...] [--pictures docs/images]

Each runs in a process of its own; printed are the means since the last log, and the CPU seconds of the process.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.stages_on_demo import draw, train
from trainer.run import read_events

PRESETS = ("demo-ppo", "demo-grpo")


def main() -> None:
    """Run the presets and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--pictures", type=Path, help="draw the curves into this folder, such as docs/images")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for preset in asked.presets:
            run, seconds = train(preset, Path(folder))
            draw(preset, run, asked.pictures)
            print(f"{preset}: {seconds:.0f} CPU seconds, start-up included")
            print("| step | reward | KL | entropy | tokens an answer |\n|---|---|---|---|---|")
            for record in read_events(run):
                event = record.event
                if event.kind == "metrics" and "reward" in event.values:
                    named = [event.values[name] for name in ("reward", "kl", "entropy", "answer_tokens")]
                    print(f"| {event.step} | {' | '.join(f'{value:.2f}' for value in named)} |")
            answers = [record.event for record in read_events(run) if record.event.kind == "sample"]
            for sample in answers[:2] + answers[-2:]:
                print(f"step {sample.step}: {sample.text!r} {sample.score:g}")


if __name__ == "__main__":
    main()
