"""`trimtab download`: a model comes here ahead of the training, and the training finds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.data.hub_server import COMMIT, HubServer
from tests.tui.command_line_world import World, a_world
from trainer.config.model_names import HubModel
from trainer.data.hub.models import Download
from tui.commands.download import progress_line


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "USE_MODELSCOPE_HUB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Iterator[HubServer]:
    with HubServer({"me/tiny": {file.name: file.read_bytes() for file in tiny_model.iterdir()}}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("MODELSCOPE_DOMAIN", server.address)
        yield server


@pytest.mark.parametrize("words", [("me/tiny",), ("me/tiny", "--hub", "modelscope"), ("hf://me/tiny",), ("on-hub",)])
def test_a_model_or_the_model_of_a_preset(world: World, hub: HubServer, words: tuple[str, ...]) -> None:
    world.preset("on-hub", '[model]\nmodel_name_or_path = "me/tiny"\nmodel_hub = "modelscope"\n')
    result = world.trimtab("download", *words, "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    kind = "ms" if words[-1] in ("modelscope", "on-hub") else "hf"
    assert told["model"] == f"{kind}://me/tiny"
    assert (Path(told["folder"]) / "model.safetensors").is_file()
    assert told["state"] == (COMMIT if kind == "hf" else Path(told["folder"]).name)
    asked = len(hub.requests)
    again = world.trimtab("download", *words)
    assert again.out.startswith(f"{kind}://me/tiny is on this machine: ")
    assert len(hub.requests) == asked


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("me/tinny",), "error: model_name_or_path: hf://me/tinny: no such model at http://127"),
        (("demo",), "demo is no model of a hub: there is nothing to download"),
        (("me/tiny", "--hub", "openmind"), "--hub = 'openmind': expected huggingface or modelscope"),
        (("me/tiny", "--revision", "v9"), "hf://me/tiny has no revision v9"),
        (("no-such-preset",), "no-such-preset"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(world: World, hub: HubServer, words: tuple[str, ...], said: str) -> None:
    result = world.trimtab("download", *words)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert result.err.count("\n") == 1


def test_the_line_of_progress_says_size_speed_and_time() -> None:
    line = progress_line(Download(HubModel("huggingface", "me/tiny"), 4_000_000_000, 16_000_000_000, 10**9, 10.0))
    assert line == "tiny [####............] 25% of 16.00 GB  100.0 MB/s  2:00 left"
