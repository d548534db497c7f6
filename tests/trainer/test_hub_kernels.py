"""No process of ours downloads code: the package that would is not seen, though it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_libraries_do_not_find_the_package_that_downloads_code(tmp_path: Path) -> None:
    package, trace = tmp_path / "packages" / "kernels", tmp_path / "imported"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"import pathlib\npathlib.Path({str(trace)!r}).touch()\n")
    environment = {**os.environ, "PYTHONPATH": f"{package.parent}:{os.environ.get('PYTHONPATH', '')}"}
    # PEFT imports bitsandbytes, which looks for it; transformers asks whether it is there.
    code = """
from trainer.hub_kernels import hide_hub_kernels
hide_hub_kernels()
import peft
from transformers.utils import is_kernels_available
assert not is_kernels_available()
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not trace.exists()
    # And nobody reads in the log that it is missing.
    assert "kernels" not in done.stderr


def test_workers_hide_it_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kernels", sys)
    monkeypatch.setattr("trainer.chat.worker.serve", lambda: int(sys.modules["kernels"] is None))
    from trainer.__main__ import main

    assert main(["chat"]) == 1
