"""A runs folder of its own for every test, and a disk that can be made to refuse."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.trainer.run.fake_trainer import fake_resolved
from trainer.run import RunDirectory, create_run


@pytest.fixture(autouse=True)
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where new runs go; the user's own list of runs is not touched."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("TRIMTAB_RUNS", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder


@pytest.fixture
def run(runs_folder: Path) -> RunDirectory:
    """A run that was made and not started."""
    return create_run("demo", fake_resolved())


@contextmanager
def _full_disk(allowed: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """`with full_disk(bytes)`: no file of this process may grow beyond that size. Like a full disk, without root."""
    return _full_disk


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
