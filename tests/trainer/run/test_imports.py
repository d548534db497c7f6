"""What the cockpit shares with the trainer must load in no time: nothing heavy comes in with trainer.run."""

from __future__ import annotations

import subprocess
import sys

HEAVY = "torch transformers trl peft datasets accelerate numpy pandas textual rich tokenizers pydantic pynvml psutil"


def loaded_by(program: str) -> set[str]:
    """The top-level modules that are loaded after `program`."""
    program += "\nimport sys; print(' '.join({name.partition('.')[0] for name in sys.modules}))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(said.stdout.split())


def test_importing_the_run_directory_loads_nothing_heavy() -> None:
    assert loaded_by("import trainer.run") & set(HEAVY.split()) == set()


def test_reading_and_steering_a_run_loads_nothing_heavy() -> None:
    program = (
        "from trainer.run import RunReader, find_run, list_runs, RunDirectory\nfrom pathlib import Path\n"
        "run = RunDirectory(Path('/nonexistent'))\nlist_runs(); RunReader(run).poll(); run.status()\n"
    )
    assert loaded_by(program) & set(HEAVY.split()) == set()


def test_a_look_at_the_machine_loads_no_torch() -> None:
    assert loaded_by("from trainer.run import sample; sample()") & {"torch", "numpy"} == set()
