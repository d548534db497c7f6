"""Models of the hubs: which files are fetched, what a broken link costs, and what is said when they cannot be had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.data.hub_server import COMMIT, HubServer
from tests.training_runs import wait_for
from trainer.config.model_names import HubModel, hub_model
from trainer.data.hub import models
from trainer.data.hub.models import Download, cached_models, cached_snapshot, fetch_model, model_cache
from trainer.data.hub.partial import partial_file
from trainer.data.model_folder import find_model_folder, whole_model_folder
from trainer.errors import UserError

CONFIG = b'{"model_type": "llama"}'
ADDRESSES = ["hf://me/tiny", "ms://me/tiny"]


def weights(size: int = 300_000) -> bytes:
    """A safetensors file of one tensor, with a content that is nowhere the same."""
    head = json.dumps({"weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(head).to_bytes(8, "little") + head + bytes((at * at >> 7) & 255 for at in range(size))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub on this machine with one model, and caches of our own."""
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("USE_MODELSCOPE_HUB", "USE_OPENMIND_HUB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("trainer.data.hub.partial._WAIT_SECONDS", 0.01)
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("MODELSCOPE_DOMAIN", server.address)
        server.repositories["me/tiny"] = {"config.json": CONFIG, "model.safetensors": weights()}
        yield server


def model(address: str) -> HubModel:
    """The model of an address."""
    found = hub_model(address)
    assert found is not None
    return found


def names(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def downloads(hub: HubServer) -> int:
    """How many times a file was asked for."""
    return sum("/resolve/" in path or "FilePath" in path for _, path, _ in hub.requests)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_model_is_fetched_once_and_then_found_without_the_network(hub: HubServer, address: str) -> None:
    with pytest.raises(UserError, match="neither a folder nor a model in the"):
        find_model_folder(address)
    assert hub.requests == []
    folder = whole_model_folder(address)
    assert (folder / "model.safetensors").read_bytes() == weights()
    asked = len(hub.requests)
    assert whole_model_folder(address) == find_model_folder(address) == folder
    assert len(hub.requests) == asked
    assert [(str(found), where) for found, where in cached_models()] == [(address, folder)]


def test_the_cache_is_the_one_of_the_hugging_face_client(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    folder = whole_model_folder("me/tiny")
    cache = Path(os.environ["HF_HOME"]) / "hub"
    assert try_to_load_from_cache("me/tiny", "model.safetensors", cache_dir=cache) == str(folder / "model.safetensors")
    asked = downloads(hub)
    hf_hub_download("me/tiny", "config.json", revision=COMMIT, cache_dir=cache)
    assert downloads(hub) == asked


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_what_is_needed_is_fetched(hub: HubServer, address: str) -> None:
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = json.dumps({"weight_map": {"a": parts[0], "b": parts[1], "c": parts[1]}}).encode()
    needed = {
        **dict.fromkeys(parts, weights(10)),
        "model.safetensors.index.json": index,
        "config.json": CONFIG,
        "generation_config.json": b"{}",
        "tokenizer.json": b"{}",
        "tokenizer_config.json": b"{}",
        "chat_template.jinja": b"x",
        "additional_chat_templates/tool_use.jinja": b"y",
        "vocab.json": b"{}",
        "merges.txt": b"",
        "modeling_own.py": b"pass",
    }
    extra = dict.fromkeys(
        [
            "pytorch_model.bin", "pytorch_model.bin.index.json", "original/consolidated.00.pth", "model.gguf",
            "consolidated.safetensors", "onnx/model.onnx", "model.fp16.safetensors", "README.md", "tf_model.h5",
            "original/tokenizer.model", "figures/a.png", "training_args.bin", "../evil.py",
        ],
        b"not wanted",
    )  # fmt: skip
    hub.repositories["me/tiny"] = needed | extra
    assert names(whole_model_folder(address)) == sorted(needed)


def test_tokenizer_first_weights_later(hub: HubServer) -> None:
    folder = find_model_folder("me/tiny", download=True)
    assert names(folder) == ["config.json"]
    assert whole_model_folder("me/tiny") == folder
    assert names(folder) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_link_that_breaks_again_and_again_is_taken_up_where_it_broke(hub: HubServer, address: str) -> None:
    hub.break_after = 130_000
    folder = fetch_model(model(address))
    assert (folder / "model.safetensors").read_bytes() == weights()
    assert 4 <= downloads(hub) <= 5, "the config, and three parts of the weights"


def test_a_server_that_knows_no_parts_begins_again(hub: HubServer) -> None:
    hub.break_after, hub.knows_ranges = 130_000, False
    threading.Timer(0.15, lambda: setattr(hub, "break_after", None)).start()
    seen: list[Download] = []
    folder = fetch_model(model("hf://me/tiny"), progress=seen.append)
    assert (folder / "model.safetensors").read_bytes() == weights()
    assert seen[-1].done == seen[-1].total


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_link_that_stays_broken_keeps_what_has_come(hub: HubServer, address: str) -> None:
    fetch_model(model(address), weights=False)
    hub.allowance = 100_000
    with pytest.raises(UserError, match=r"broke off at byte [\d,]+ of 300,\d+ .*Start again: what has come is kept"):
        fetch_model(model(address))
    [left] = model_cache(model(address)).glob("blobs/*.part")
    here = left.stat().st_size
    assert here > 90_000
    hub.allowance = None
    seen: list[Download] = []
    fetch_model(model(address), progress=seen.append)
    assert not left.exists()
    assert seen[-1].done == seen[-1].total == seen[-1].fetched + here + len(CONFIG)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_killed_process_is_taken_up_by_the_next(hub: HubServer, address: str, tmp_path: Path) -> None:
    hub.slowness = 0.2
    code = f"from trainer.data.model_folder import whole_model_folder; whole_model_folder({address!r})"
    process = subprocess.Popen([sys.executable, "-c", code])
    blobs = model_cache(model(address)) / "blobs"
    wait_for(lambda: [file for file in blobs.glob("*.part") if file.stat().st_size > 100_000])
    process.send_signal(signal.SIGKILL)
    process.wait()
    hub.slowness, hub.requests = 0.0, []
    assert (whole_model_folder(address) / "model.safetensors").read_bytes() == weights()
    assert not list(blobs.glob("*.part"))


def test_two_processes_share_one_download(hub: HubServer) -> None:
    hub.slowness = 0.1
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(whole_model_folder("me/tiny"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert downloads(hub) == 2, "config and weights, once each"
    assert (found[0] / "model.safetensors").read_bytes() == weights()


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_does_not_match_its_digest_is_thrown_away(hub: HubServer, address: str) -> None:
    hub.damage = True
    with pytest.raises(UserError, match=r"is damaged \(wrong digest\)"):
        fetch_model(model(address))
    blobs = model_cache(model(address)) / "blobs"
    assert [file.name for file in blobs.iterdir() if not file.name.endswith(".part")] == []
    hub.damage = False
    assert (fetch_model(model(address)) / "model.safetensors").read_bytes() == weights()


def test_a_beginning_that_is_longer_than_the_file_is_not_used(hub: HubServer) -> None:
    fetch_model(model("hf://me/tiny"))
    blobs = model_cache(model("hf://me/tiny")) / "blobs"
    [blob] = [file for file in blobs.iterdir() if file.stat().st_size > 1000]
    blob.rename(partial_file(blob))
    with partial_file(blob).open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(UserError, match="damaged"):
        fetch_model(model("hf://me/tiny"))
    assert (fetch_model(model("hf://me/tiny")) / "model.safetensors").read_bytes() == weights()


def test_progress_counts_bytes_and_may_end_the_download(hub: HubServer) -> None:
    hub.slowness = 0.3
    seen: list[Download] = []

    def watch(download: Download) -> None:
        seen.append(download)
        if download.fetched:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_model(model("hf://me/tiny"), progress=watch)
    assert seen[-1].total == len(weights()) + len(CONFIG)
    assert 0 < seen[-1].done < seen[-1].total
    assert seen[-1].seconds_left is not None


def test_revisions_and_the_newest_state(hub: HubServer) -> None:
    assert whole_model_folder("me/tiny").name == COMMIT
    hub.commit = "b" * 40
    assert whole_model_folder("me/tiny").name == COMMIT
    assert whole_model_folder("me/tiny", refresh=True).name == "b" * 40
    assert whole_model_folder("me/tiny", revision="b" * 40).name == "b" * 40
    assert whole_model_folder(f"hf://me/tiny@{'b' * 40}").name == "b" * 40
    with pytest.raises(UserError, match="hf://me/tiny has no revision v9"):
        whole_model_folder("me/tiny", revision="v9")


def test_the_hub_is_chosen_by_address_then_parameter_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USE_MODELSCOPE_HUB", raising=False)
    monkeypatch.delenv("USE_OPENMIND_HUB", raising=False)

    def hub_of(name: str, hub: str | None = None) -> str | None:
        found = hub_model(name, hub=hub, revision="main")
        assert found is None or found.revision is None
        return found.hub if found else None

    assert hub_of("me/tiny") == "huggingface"
    assert hub_of("me/tiny", "modelscope") == "modelscope"
    assert hub_of("hf://me/tiny", "modelscope") == "huggingface"
    assert hub_of("./me/tiny") is None
    assert hub_of("shipped:demo_model") is None
    monkeypatch.setenv("USE_MODELSCOPE_HUB", "1")
    assert hub_of("me/tiny") == "modelscope"
    assert hub_of("me/tiny", "huggingface") == "huggingface"
    monkeypatch.setenv("USE_OPENMIND_HUB", "1")
    with pytest.raises(UserError, match=r"OpenMind cannot be fetched.*Unset USE_OPENMIND_HUB"):
        hub_of("me/tiny")
    with pytest.raises(UserError, match=r"not the address of a model\. Write ms://owner/name"):
        hub_of("ms://tiny")


def test_cache_dir_is_where_the_files_go(hub: HubServer, tmp_path: Path) -> None:
    for address in ADDRESSES:
        folder = whole_model_folder(address, cache_dir=str(tmp_path / "big"))
        assert folder.is_relative_to(tmp_path / "big")
        assert cached_snapshot(model(address)) is None
        assert find_model_folder(address, cache_dir=str(tmp_path / "big")) == folder


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["pytorch_model.bin"], "hf://me/tiny has no safetensors, only pytorch_model.bin: pickle files can run code"),
        (["model.Q4.gguf"], "hf://me/tiny has no safetensors (only .gguf). Choose the model's own repository"),
        (["model.safetensors.index.json"], "its model.safetensors.index.json names no files"),
    ],
)
def test_a_repository_without_usable_weights(hub: HubServer, files: list[str], said: str) -> None:
    hub.repositories["me/tiny"] = {"config.json": CONFIG, **dict.fromkeys(files, b"x")}
    with pytest.raises(UserError) as refused:
        whole_model_folder("me/tiny")
    assert said in str(refused.value)


@pytest.mark.parametrize(("address", "token"), [("hf://me/tiny", "HF_TOKEN"), ("ms://me/tiny", "MODELSCOPE_API_TOKEN")])
def test_gated_models_ask_for_the_token_of_the_environment(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, address: str, token: str
) -> None:
    hub.gated.add("me/tiny")
    with pytest.raises(UserError, match=rf"access is limited, and {token} is not set\. Accept its conditions at"):
        whole_model_folder(address)
    monkeypatch.setenv(token, "secret-token")
    assert names(whole_model_folder(address)) == ["config.json", "model.safetensors"]
    assert {header for method, path, header in hub.requests if "model.safetensors" in path} == {"Bearer secret-token"}


@pytest.mark.parametrize("address", ADDRESSES)
def test_missing_offline_and_unreachable(hub: HubServer, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with pytest.raises(UserError, match=r"no such model at http://127.* for a private model put an access token"):
        whole_model_folder(address.replace("tiny", "tinny"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"is not on this machine, and downloads are turned off \(HF_HUB_OFFLINE\)"):
        whole_model_folder(address)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name in ("HF_ENDPOINT", "MODELSCOPE_DOMAIN"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"127.0.0.1:9 cannot be reached .* name a mirror with (HF_E|MODELSCOPE_D)"):
        whole_model_folder(address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_disk_that_is_too_small_is_found_before_the_download(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(models.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(UserError, match=r"needs 0.0 GB more, and 0.0 GB are free.*Make room, or choose another place"):
        whole_model_folder(address)
    assert downloads(hub) == 0


def test_a_closed_disk_is_not_called_a_network_error(hub: HubServer) -> None:
    with pytest.raises(UserError, match=r"/proc/nowhere.*the download cannot be stored: .*Make room, or choose"):
        whole_model_folder("me/tiny", cache_dir="/proc/nowhere")


def test_an_adapter_is_fetched_as_well(hub: HubServer) -> None:
    hub.repositories["me/adapter"] = {
        "adapter_config.json": b"{}",
        "adapter_model.safetensors": weights(10),
        "adapter_model.bin": b"pickle",
    }
    assert names(whole_model_folder("me/adapter")) == ["adapter_config.json", "adapter_model.safetensors"]
