"""Where adapters are looked for: their own folders, below a common one, in a part of their own, on a hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue, write_safetensors
from tests.trainer.data.hub_server import HubServer
from trainer.config import Recipe
from trainer.data import preflight
from trainer.data.adapter_folder import with_found_adapters
from trainer.errors import UserError

CONFIG = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "base"})


def make_adapter(folder: Path) -> Path:
    """A folder that is an adapter as far as one can see from outside."""
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(CONFIG)
    write_safetensors(folder / "adapter_model.safetensors")
    return folder


def found(names: list[str], folder: str | None = None, *, download: bool = False) -> list[str]:
    """The folders of the adapters with these names."""
    recipe = Recipe().with_values({"model.adapter_name_or_path": names, "model.adapter_folder": folder})
    located = with_found_adapters(recipe, download=download)
    assert located.model.adapter_folder is None or not names
    return list(located.model.adapter_name_or_path)


def test_names_below_a_common_folder_and_parts_of_own_folders(tmp_path: Path) -> None:
    one, two = make_adapter(tmp_path / "all" / "one"), make_adapter(tmp_path / "all" / "two")
    assert found(["one", "two"], str(tmp_path / "all")) == [str(one), str(two)]
    inner = make_adapter(tmp_path / "run" / "last")
    assert found([str(tmp_path / "run")], "last") == [str(inner)]
    assert found([str(one)]) == [str(one)]
    assert found([]) == []


def test_a_misspelled_name_gets_its_near_match(tmp_path: Path) -> None:
    make_adapter(tmp_path / "polite")
    with pytest.raises(UserError, match=r"adapter_name_or_path = 'polit': no such adapter in .*Did you mean polite"):
        found(["polit"], str(tmp_path))
    with pytest.raises(UserError, match="There are: polite"):
        found(["quite-another"], str(tmp_path))
    with pytest.raises(UserError, match=r"must hold a folder with an adapter_config\.json"):
        found(["x"], str(tmp_path / "nowhere"))


def test_an_adapter_of_a_hub_is_fetched_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "USE_MODELSCOPE_HUB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    made = make_adapter(tmp_path / "made")
    files = {file.name: file.read_bytes() for file in made.iterdir()}
    pickled = {"adapter_config.json": CONFIG.encode(), "adapter_model.bin": b"x"}
    with HubServer({"me/polite": files, "me/pickled": pickled}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        assert found(["me/polite"]) == ["me/polite"]
        assert hub.requests == []
        [folder] = found(["me/polite"], download=True)
        assert (Path(folder) / "adapter_model.safetensors").is_file()
        asked = len(hub.requests)
        assert found(["me/polite"]) == [folder]
        assert len(hub.requests) == asked
        with pytest.raises(UserError, match=r"adapter_name_or_path = 'me/pickled'.*only adapter_model\.bin"):
            found(["me/pickled"], download=True)


def test_a_folder_without_an_adapter_is_no_adapter(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the adapter folder does not exist"):
        found([str(tmp_path / "none")])
    checkpoint = make_adapter(tmp_path / "run" / "checkpoints" / "step-00000003")
    with pytest.raises(UserError, match=f"holds no adapter.*Name the checkpoint: {checkpoint}"):
        found([str(tmp_path / "run")])


def test_the_preflight_tells(make_model: MakeModel, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(make_model(), [dialogue("A", "B")])
    missing = {"model.adapter_name_or_path": ["one"], "model.adapter_folder": str(tmp_path / "none")}
    [told] = [each for each in preflight(recipe.with_values(missing)) if each.severity == "error"]
    assert told.id == "adapter_unusable"
    assert "no such adapter" in told.text
