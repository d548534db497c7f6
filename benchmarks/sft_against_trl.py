"""The same SFT-LoRA job through trimtab and through a bare TRL script: time to the first step, CPU per step, memory.

Both train the bundled demo model on the same rows with the same settings and checkpoints every 40 steps; trimtab
also writes its events, its status and its manifests. Each is run alternately, `--repeat` times, short and long; the
figures are medians. CPU seconds are what the processes used, so other work on the machine disturbs them little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from trainer.config import Hardware, load_preset, resolve
from trainer.paths import shipped_folder
from trainer.run import create_run, read_events

SHORT, LONG = 20, 120
ROWS = 240


@dataclass(frozen=True)
class Measured:
    """One process: seconds from its start to the end of the first step, CPU seconds, peak memory in MiB."""

    first_step: float
    cpu: float
    peak: float


def _child(command: list[str], folder: Path) -> tuple[float, float, float, str]:
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }
    log = folder / "output.txt"
    start = time.time()
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    return start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, log.read_text()


def bare(model: Path, data: Path, steps: int, folder: Path) -> Measured:
    """Run the bare TRL script."""
    script = Path(__file__).with_name("bare_trl.py")
    start, cpu, peak, output = _child(
        [sys.executable, str(script), str(model), str(data), str(folder / "out"), str(steps)], folder
    )
    line = next(line for line in output.splitlines() if line.startswith("first step at "))
    return Measured(float(line.removeprefix("first step at ")) - start, cpu, peak)


def ours(model: Path, data: Path, steps: int, folder: Path) -> Measured:
    """Run the same job through trimtab's trainer process."""
    preset = load_preset(
        "demo",
        [
            f"dataset={json.dumps([str(data)])}",
            f"max_steps={steps}",
            "val_size=0.0",
            'eval_strategy="no"',
            "sample_prompts=[]",
            "save_steps=40",
        ],
    )
    run = create_run(
        "bench", resolve(preset.recipe, Hardware.detect()), name=None, folder=folder / "run", extra_identity={}
    )
    start, cpu, peak, _ = _child([sys.executable, "-m", "trainer", "train", str(run.path)], folder)
    first = next(record for record in read_events(run) if record.event.kind == "metrics")
    return Measured(first.time - start, cpu, peak)


def main() -> None:
    """Measure and print a table with ratios (below 1: trimtab needs less)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    model = shipped_folder("data") / "demo_model"
    results: dict[tuple[str, int], list[Measured]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "rows.json"
        rows = [
            {
                "instruction": f"What is {i % 21} plus {i // 21}?",
                "output": f"{i % 21} plus {i // 21} is {i % 21 + i // 21}.",
            }
            for i in range(ROWS)
        ]
        data.write_text(json.dumps(rows), encoding="utf-8")
        for turn in range(repeat):
            for name, job in (("bare TRL", bare), ("trimtab", ours)):
                for steps in (SHORT, LONG):
                    folder = Path(temporary) / f"{name.split()[0]}-{steps}-{turn}"
                    folder.mkdir()
                    results.setdefault((name, steps), []).append(job(model, data, steps, folder))
    _print(results)


def _print(results: dict[tuple[str, int], list[Measured]]) -> None:
    def figures(name: str) -> tuple[float, float, float]:
        short, long = results[name, SHORT], results[name, LONG]
        per_step = statistics.median((b.cpu - a.cpu) / (LONG - SHORT) for a, b in zip(short, long, strict=True))
        return statistics.median(m.first_step for m in short + long), per_step, statistics.median(m.peak for m in long)

    theirs, mine = figures("bare TRL"), figures("trimtab")
    print(f"{'':34}{'bare TRL':>12}{'trimtab':>12}{'ratio':>8}")
    labels = ("process start to first step (s)", "CPU seconds per step", "peak memory (MiB)")
    for label, a, b in zip(labels, theirs, mine, strict=True):
        print(f"{label:34}{a:12.3f}{b:12.3f}{b / a:8.2f}")


if __name__ == "__main__":
    main()
