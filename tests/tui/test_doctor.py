"""The doctor: what it says about healthy and broken machines."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.command_line_world import World, a_world
from tui.commands import doctor, doctor_probe
from tui.commands.doctor_probe import Gpu, TorchFacts


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> list[TorchFacts]:
    """What torch is made to say; the first entry counts."""
    said = [TorchFacts(version="2.13.0+cpu")]
    monkeypatch.setattr(doctor_probe, "torch_facts", lambda: said[0])
    monkeypatch.setattr(doctor_probe, "bitsandbytes_problem", lambda: "")
    return said


def checks(world: World) -> dict[str, dict[str, str]]:
    report = json.loads(world.trimtab("doctor", "--json").out)
    return {check["id"]: check for check in report["checks"]}


def test_a_real_look_at_this_machine_finds_nothing_broken(world: World) -> None:
    result = world.trimtab("doctor", "--json")
    report = json.loads(result.out)
    assert (result.code, report["ok"]) == (0, True)
    found = {check["id"]: check for check in report["checks"]}
    assert found["torch"]["state"] == "ok"
    assert {"python", "packages", "machine", "memory", "disk", "presets", "terminal", "encoding"} <= set(found)
    assert "torch" not in sys.modules or "torch" in found


def test_every_check_is_printed_in_both_languages(world: World, facts: list[TorchFacts]) -> None:
    assert "Everything essential works." in world.trimtab("doctor").out
    assert "关键部分全部可用。" in world.trimtab("doctor", "--language", "zh").out


def test_a_gpu_is_described(world: World, facts: list[TorchFacts]) -> None:
    gpus = (Gpu("NVIDIA H200", 140 * 1024**3, "9.0"),)
    facts[0] = TorchFacts(version="2.13.0", cuda_build="13.0", cuda=True, bf16=True, gpus=gpus)
    cuda = checks(world)["cuda"]
    assert cuda["state"] == "ok"
    assert "NVIDIA H200 140.0 GiB (sm 9.0)" in cuda["value"]


def test_a_broken_torch_is_an_error_with_advice(world: World, facts: list[TorchFacts]) -> None:
    facts[0] = TorchFacts(problem="ImportError: libcudart.so.13: cannot open shared object file")
    result = world.trimtab("doctor")
    assert result.code == 1
    assert "libcudart" in result.out
    assert "-> " in result.out
    assert "Broken: torch" in result.out


def test_a_missing_package_is_named(world: World, facts: list[TorchFacts], monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "peft":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1" if name == "trl" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    packages = checks(world)["packages"]
    assert packages["state"] == "error"
    assert "peft>=0.19 is missing" in packages["value"]
    assert "trl>=1.16 is needed, 0.1 is installed" in packages["value"]
    assert packages["advice"]


def test_a_runs_folder_that_cannot_be_written(
    world: World, facts: list[TorchFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_RUNS", "/proc/runs")
    disk = checks(world)["disk"]
    assert disk["state"] == "error"
    assert "TRIMTAB_RUNS" in disk["advice"]
    assert world.trimtab("doctor").code == 1


def test_a_broken_preset_is_a_warning(world: World, facts: list[TorchFacts]) -> None:
    world.preset("broken", "[train\n")
    presets = checks(world)["presets"]
    assert presets["state"] == "warning"
    assert "broken.toml:1" in presets["value"]


def test_a_look_that_crashes_does_not_stop_the_others(
    world: World, facts: list[TorchFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> TorchFacts:
        raise RuntimeError("odd machine")

    monkeypatch.setattr(doctor_probe, "torch_facts", broken)
    found = checks(world)
    assert found["torch"]["state"] == "error"
    assert "odd machine" in found["torch"]["value"]
    assert found["python"]["state"] == "ok"


def test_the_terminal_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for name, value in {"TERM": "xterm", "COLUMNS": "60", "LINES": "20", "TMUX": "/tmp/x", "COLORTERM": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    found = {check.id: check for check in doctor._terminal()}
    assert (found["terminal"].state, found["terminal"].value) == ("warning", "60x20, TERM=xterm")
    assert found["multiplexer"].value == "tmux"
    assert found["colours"].value == "16"
    monkeypatch.setenv("TERM", "dumb")
    assert next(iter(doctor._terminal())).state == "warning"


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("raise ImportError('libfoo is not here')", "ImportError: libfoo is not here"),
        ("import os; os.abort()", "signal 6"),
        ("import time; time.sleep(30)", "no answer"),
    ],
)
def test_a_library_that_breaks_its_process_is_reported(
    monkeypatch: pytest.MonkeyPatch, program: str, problem: str
) -> None:
    monkeypatch.setattr(doctor_probe, "_BITSANDBYTES", program)
    limit = 0.2 if "sleep" in program else 60.0
    assert problem in doctor_probe.bitsandbytes_problem(limit)
