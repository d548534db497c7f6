"""Facts about torch, CUDA and bitsandbytes, found in a subprocess with a time limit. Not for judging them: `doctor.py`.

The command line itself never imports torch, and a broken CUDA library that crashes its process must not take the
doctor along.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

# A first import from a cold network disk takes tens of seconds on rented machines.
LIMIT_SECONDS = 120.0

_TORCH = """
import json, torch
facts = {"version": torch.__version__, "cuda_build": torch.version.cuda or torch.version.hip or "",
         "cuda": torch.cuda.is_available(), "bf16": False, "gpus": [], "problem": ""}
try:
    if facts["cuda"]:
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            facts["gpus"].append({"name": properties.name, "memory": properties.total_memory,
                                  "capability": f"{properties.major}.{properties.minor}"})
        facts["bf16"] = torch.cuda.is_bf16_supported()
        torch.ones(8, device="cuda").sum().item()
    else:
        torch.ones(8).sum().item()
        if facts["cuda_build"]:
            torch.cuda.init()
except Exception as error:
    facts["problem"] = " ".join(str(error).split())[:300]
print("\\n" + json.dumps(facts))
"""
_BITSANDBYTES = """
import json, bitsandbytes
print("\\n" + json.dumps({"version": bitsandbytes.__version__}))
"""


@dataclass(frozen=True)
class Gpu:
    """One GPU as torch sees it; memory in bytes, compute capability like "9.0"."""

    name: str
    memory: int
    capability: str


@dataclass(frozen=True)
class TorchFacts:
    """What torch says about itself; `problem` when it is broken, empty when it works."""

    version: str = ""
    cuda_build: str = ""
    cuda: bool = False
    bf16: bool = False
    gpus: tuple[Gpu, ...] = ()
    problem: str = ""


def torch_facts(limit: float = LIMIT_SECONDS) -> TorchFacts:
    """Import torch in a subprocess and ask it; never raises."""
    found, problem = _ask(_TORCH, limit)
    if found is None:
        return TorchFacts(problem=problem)
    gpus = tuple(Gpu(**gpu) for gpu in found.pop("gpus"))
    return TorchFacts(gpus=gpus, **found)


def bitsandbytes_problem(limit: float = LIMIT_SECONDS) -> str:
    """Import bitsandbytes in a subprocess: why it fails, or empty."""
    return _ask(_BITSANDBYTES, limit)[1]


def _ask(program: str, limit: float) -> tuple[dict[str, Any] | None, str]:
    """The JSON object in the program's last line, or None and the reason."""
    try:
        # -P: a file called torch.py in the current folder must not be what we examine.
        done = subprocess.run(
            [sys.executable, "-P", "-c", program],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "ignore"},
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {limit:.0f} s"
    except OSError as error:
        return None, str(error.strerror or error)
    if done.returncode == 0:
        return json.loads(done.stdout.strip().splitlines()[-1]), ""
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode < 0:
        return None, f"the process died of signal {-done.returncode}"
    return None, said[-1][:300] if said else f"exit code {done.returncode}"
