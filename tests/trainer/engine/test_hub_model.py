"""A run whose model is on a hub: it comes first, its download is shown, and a stop ends it at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.data.hub_server import COMMIT, HubServer
from tests.training_runs import TrainingRuns, events_of, wait_for
from trainer.run import RunState
from trainer.run.commands import send_command


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[HubServer]:
    """The tiny model under a name of a hub."""
    with HubServer({"me/tiny": {file.name: file.read_bytes() for file in tiny_model.iterdir()}}) as server:
        yield server


def environment(hub: HubServer, folder: Path) -> dict[str, str]:
    """What a trainer process needs to find that hub, and caches of the test's own."""
    return {
        "HF_ENDPOINT": hub.address,
        "MODELSCOPE_DOMAIN": hub.address,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_CACHE": str(folder / "hf" / "hub"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HF_HUB_OFFLINE": "0",
    }


@pytest.mark.parametrize("name", ["me/tiny", "ms://me/tiny"])
def test_a_run_fetches_its_model_and_names_it_in_its_checkpoints(
    runs: TrainingRuns, hub: HubServer, tmp_path: Path, name: str
) -> None:
    run = runs.create("on-hub", model={"model_name_or_path": name}, train={"max_steps": 1, "save_steps": 1})
    assert runs.train(run, **environment(hub, tmp_path)) == 0, run.log_file.read_text()[-2000:]
    [told] = [event for event in events_of(run, "finding") if event.id == "run_hub_model"]
    assert COMMIT[:12] in told.text or name.startswith("ms")
    checkpoint = run.checkpoints_folder / "step-00000001"
    assert json.loads((checkpoint / "trimtab.json").read_text())["base_model"] == name
    assert json.loads((checkpoint / "adapter_config.json").read_text())["base_model_name_or_path"] == "me/tiny"


def test_a_download_is_shown_and_stopped(runs: TrainingRuns, hub: HubServer, tmp_path: Path) -> None:
    hub.repositories["me/tiny"]["model.safetensors"] = bytes(3_000_000)
    hub.slowness = 0.5
    run = runs.create("slow", model={"model_name_or_path": "me/tiny"})
    process = runs.start(run, **environment(hub, tmp_path))
    status = wait_for(lambda: (found := run.status()) and "MB" in found.message and found)
    assert status.message.startswith("downloading me/tiny: ")
    assert status.total_rows == 3
    send_command(run.commands_folder, "stop", {"save": False})
    process.join(30)
    assert process.exitcode == 0
    assert run.state() is RunState.STOPPED


def test_a_model_that_is_not_there_ends_the_run_with_one_line(
    runs: TrainingRuns, hub: HubServer, tmp_path: Path
) -> None:
    run = runs.create("missing", model={"model_name_or_path": "me/tinny"})
    assert runs.train(run, **environment(hub, tmp_path)) == 1
    [end] = events_of(run, "end")
    assert "hf://me/tinny: no such model at http://127" in end.text
    assert "Traceback" not in run.log_file.read_text()
