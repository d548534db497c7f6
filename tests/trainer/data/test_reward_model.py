"""What is said of the reward and reference models that a recipe names, before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainer.config import Recipe
from trainer.data.reference_model import reference_model_finding
from trainer.data.reward_model import reward_model_finding


def recipe(name: str, kind: str = "lora", stage: str = "ppo") -> Recipe:
    return Recipe().with_values({"method.stage": stage, "ppo.reward_model": name, "ppo.reward_model_type": kind})


def adapter(folder: Path, task: str) -> None:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"task_type": task}))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for step in (40, 80):
        adapter(tmp_path / f"runs/rm/checkpoints/step-000000{step}", "SEQ_CLS")
    adapter(tmp_path / "runs/sft/checkpoints/step-00000040", "CAUSAL_LM")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole/config.json").write_text(json.dumps({"architectures": ["LlamaForSequenceClassification"]}))
    (tmp_path / "three").mkdir()
    three = {"architectures": ["LlamaForSequenceClassification"], "id2label": {str(n): f"L{n}" for n in range(3)}}
    (tmp_path / "three/config.json").write_text(json.dumps(three))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "told", "change"),
    [
        ("runs/rm/checkpoints/step-00000080", "lora", "", None),
        ("runs/rm/checkpoints/step-00000080", "full", "", None),
        ("whole", "full", "", None),
        ("owner/on-a-hub", "lora", "", None),
        ("http://localhost:9", "api", "", None),
        ("runs/rm", "lora", "is a run", {"ppo.reward_model": "runs/rm/checkpoints/step-00000080"}),
        ("rm", "lora", "is a run", {"ppo.reward_model": "runs/rm/checkpoints/step-00000080"}),
        ("http://localhost:9", "full", "is an address", {"ppo.reward_model_type": "api"}),
        ("three", "full", "gives 3 numbers", None),
        ("runs/sft/checkpoints/step-00000040", "full", "is no reward model", None),
        ("runs/sft", "lora", "is no reward model", None),
        ("runs/sft/checkpoints/step-00000040", "lora", "is no reward model", None),
        ("whole", "lora", "set reward_model_type = full", {"ppo.reward_model_type": "full"}),
        ("runs/mr", "lora", "there is no such folder", None),
        ("./nowhere", "lora", "there is no such folder", None),
    ],
)
def test_what_is_no_reward_model_is_told_with_the_way_out(
    here: Path, name: str, kind: str, told: str, change: dict[str, str] | None
) -> None:
    found = reward_model_finding(recipe(name, kind))
    assert (found.text if found else "") == told or (found is not None and told and told in found.text)
    assert (found.change or None if found else None) == change


def test_other_stages_do_not_look_at_it(here: Path) -> None:
    assert reward_model_finding(recipe("./nowhere", stage="sft")) is None


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("whole", False),
        ("owner/on-a-hub", False),
        ("shipped:demo_model", False),
        ("./nowhere", True),
        ("runs/no", True),
    ],
)
def test_a_reference_model_that_is_not_there_is_told(here: Path, name: str, missing: bool) -> None:
    found = reference_model_finding(Recipe().with_values({"method.stage": "dpo", "preference.ref_model": name}))
    assert (found is not None and f"ref_model = {name}: there is no such folder" in found.text) == missing
