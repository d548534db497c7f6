"""The list of well-known models, and the search for models on this machine."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from tests.trainer.data.conftest import write_safetensors
from trainer.data.model_catalogue import known_model, known_models
from trainer.data.model_search import downloaded_models, local_models
from trainer.data.templates import template_names


def test_the_list_is_sound() -> None:
    models = known_models()
    names = [model.name for model in models]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in names)
    assert {model.template for model in models} <= set(template_names())
    assert all(0.1 <= model.billions <= 1000 for model in models)
    assert all(model.context is None or 1024 <= model.context <= 10**7 for model in models)
    for family in ("Qwen", "Llama", "Gemma", "Mistral", "Mixtral", "Ministral", "Phi", "DeepSeek", "GLM", "InternLM",
                   "Yi", "SmolLM", "Granite", "OLMo", "Falcon", "gpt-oss"):  # fmt: skip
        assert any(model.family.startswith(family) for model in models), family


def test_the_size_stands_in_most_names() -> None:
    """A figure that does not fit the name is a typing mistake."""
    for model in known_models():
        stated = re.findall(r"(?<![\d.])(\d+(?:[._]\d+)?)b(?![a-z])", model.name, re.IGNORECASE)
        if stated and "8x" not in model.name:
            sizes = [float(size.replace("_", ".")) for size in stated]
            assert any(0.7 * size <= model.billions <= 1.5 * size for size in sizes), model.name


def test_a_model_is_known_by_its_name_on_either_hub() -> None:
    for name in ("meta-llama/Llama-3.1-8B-Instruct", "ms://LLM-Research/Meta-Llama-3.1-8B-Instruct@master"):
        found = known_model(name)
        assert found is not None
        assert (found.family, found.is_gated) == ("Llama 3.1", True)
    assert known_model("me/unknown") is None


def make_model(folder: Path, *, cut: bool = False) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    write_safetensors(folder / "model.safetensors")
    if cut:
        os.truncate(folder / "model.safetensors", 40)
    return folder


def test_folders_are_searched_near_and_not_deep(tmp_path: Path) -> None:
    near, cut = make_model(tmp_path / "near"), make_model(tmp_path / "a" / "cut", cut=True)
    make_model(tmp_path / "near" / "inside")
    make_model(tmp_path / "a" / "b" / "c" / "d" / "deep")
    make_model(tmp_path / "runs" / "one")
    make_model(tmp_path / ".hidden")
    (tmp_path / "link").symlink_to(near)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    found = local_models([tmp_path, tmp_path / "nowhere"])
    assert [(model.folder.resolve(), model.is_whole) for model in found] == [(near, True), (cut, False)]
    assert found[0].bytes == (near / "model.safetensors").stat().st_size


def test_downloaded_models_are_whole_or_not(tmp_path: Path) -> None:
    for name, cut in (("whole", False), ("part", True)):
        make_model(tmp_path / f"models--me--{name}" / "snapshots" / "abc", cut=cut)
    (tmp_path / "models--me--empty" / "snapshots").mkdir(parents=True)
    (tmp_path / "datasets--me--rows").mkdir()
    found = downloaded_models(str(tmp_path))
    assert [(str(model.hub), model.is_whole) for model in found] == [("hf://me/part", False), ("hf://me/whole", True)]
