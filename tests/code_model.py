"""A tiny model that brings its own code: a kind of Llama that transformers does not know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.tiny import make_tiny_model

CONFIGURATION = """from transformers import LlamaConfig


class OwnConfig(LlamaConfig):
    model_type = "own_llama"
"""
MODELING = """from transformers import LlamaForCausalLM

from .configuration_own import OwnConfig


class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


def make_code_model(folder: Path) -> Path:
    """Write the folder: weights of a Llama, and two files of code that its configuration names."""
    make_tiny_model(folder, architecture="llama")
    return add_code(folder)


def add_code(folder: Path) -> Path:
    """Let a Llama in `folder` ask for code of its own."""
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "own_llama"
    config["architectures"] = ["OwnForCausalLM"]
    config["auto_map"] = {
        "AutoConfig": "configuration_own.OwnConfig",
        "AutoModelForCausalLM": "modeling_own.OwnForCausalLM",
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "configuration_own.py").write_text(CONFIGURATION)
    (folder / "modeling_own.py").write_text(MODELING)
    return folder


def copy_of(model: Path, folder: Path) -> Path:
    """The same model somewhere else, to be changed."""
    shutil.copytree(model, folder)
    return folder
