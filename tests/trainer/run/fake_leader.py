"""Leads a pipeline as `python -m trainer pipeline` does, with the fake trainer at every part.

As a program: `python fake_leader.py '{"rm": {"steps": 100, "delay": 0.01}}' FOLDER`; `fake_leader()` gives its words.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from trainer.run import RunDirectory, launch
from trainer.run.leading import lead

THREE_PARTS = """
[[pipeline]]
name = "sft"
extends = "demo"
[[pipeline]]
name = "评判"
extends = "demo-rm"
[[pipeline]]
name = "ppo"
extends = "demo-ppo"
[pipeline.reward]
reward_funcs = []
reward_words = []
"""
"""A pipeline's file for it: fine-tuned, judged, learned from the judge."""
LONG = {"steps": 100_000, "save_steps": 90_000, "delay": 0.01}
"""For a part that goes until it is stopped."""


def fake_leader(**parts: Mapping[str, float]) -> tuple[str, ...]:
    """The program for `launch_pipeline`: what the fake trainer is told, by the name of the part."""
    return (sys.executable, str(Path(__file__).resolve()), json.dumps(parts))


if __name__ == "__main__":
    from fake_trainer import fake_program  # type: ignore[import-not-found]  # beside this file

    told = json.loads(sys.argv[1])

    def start(run: RunDirectory, *, resume: bool = False) -> int:
        """Start the fake trainer."""
        settings = {"steps": 10, "save_steps": 5} | told.get(run.name.rpartition(".")[2], {})
        return launch(run, resume=resume, program=fake_program(**settings))

    sys.exit(lead(Path(sys.argv[2]), start))
