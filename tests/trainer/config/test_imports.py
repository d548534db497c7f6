"""The definition is read by the cockpit: nothing heavy may come with it."""

import subprocess
import sys

HEAVY = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "numpy",
    "pandas",
    "textual",
    "tui",
    "tomlkit",
)


def test_importing_listing_loading_and_checking_loads_nothing_heavy() -> None:
    code = (
        "import sys; from trainer.config import *; parameters(); Hardware.detect(); "
        "preset = load_preset('demo', ['trainer.torch_empty_cache_steps=4']); "
        "check(resolve(preset.recipe, Hardware(False, False, 0, 2)).recipe); list_presets(); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_definition_knows_no_other_part() -> None:
    code = (
        "import sys, trainer.config; "
        "print(sorted(name for name in sys.modules if name.startswith(('trainer.', 'tui')) "
        "and not name.startswith('trainer.config')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['trainer.errors', 'trainer.paths']"
