"""Gauges: the real pynvml over a fake driver library, and this machine's processor and memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.run import Gpu, Telemetry, sample

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@pytest.fixture(scope="module")
def driver_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fake libnvidia-ml.so.1."""
    if COMPILER is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("fake_nvml.c")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return folder


def sample_elsewhere(**environment: str) -> Telemetry:
    """What `sample` says in a process with that environment."""
    program = "from trainer.run import Gpu, Telemetry, sample\nsample()\nprint(repr(sample()))"
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stderr == ""
    found = eval(said.stdout, {"Gpu": Gpu, "Telemetry": Telemetry})
    assert isinstance(found, Telemetry)
    return found


def test_gpus_tell_what_they_support_and_nothing_else(driver_folder: Path) -> None:
    telemetry = sample_elsewhere(LD_LIBRARY_PATH=str(driver_folder), FAKE_GPUS="2")

    assert telemetry.gpus == (
        Gpu(0, "FAKE H200 #0", 400, 1000, 87.0, 61.0, 512.5, 700.0),
        Gpu(1, "FAKE H200 #1", None, None, None, 61.0, 512.5, None),
    )
    assert telemetry.gpu_note == ""


@pytest.mark.parametrize(
    ("environment", "note"),
    [
        ({"FAKE_GPUS": "0"}, "no NVIDIA GPU"),
        ({"FAKE_INIT": "9"}, "NVIDIA driver not loaded"),
        ({"FAKE_INIT": "999"}, "NVML: Unknown Error"),
        ({"LD_LIBRARY_PATH": "/nonexistent"}, "no NVIDIA GPU"),
    ],
    ids=["no gpu", "no driver", "unknown error", "no library"],
)
def test_no_gpu_is_said_and_never_an_error(driver_folder: Path, environment: dict[str, str], note: str) -> None:
    if "LD_LIBRARY_PATH" in environment and sample().gpus:
        pytest.skip("this machine has a GPU")

    telemetry = sample_elsewhere(**{"LD_LIBRARY_PATH": str(driver_folder), **environment})

    assert telemetry.gpus == ()
    assert telemetry.gpu_note == note


def test_processor_and_memory_are_plausible() -> None:
    sample()
    telemetry = sample()

    assert telemetry.cpu_percent is not None
    assert 0 <= telemetry.cpu_percent <= 100
    assert telemetry.memory_used is not None
    assert telemetry.memory_total is not None
    assert 0 < telemetry.memory_used < telemetry.memory_total
