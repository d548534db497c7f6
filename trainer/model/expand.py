"""LLaMA Pro: a larger model from a model, with blocks between its own that pass their input on until they are trained.

After every group of blocks stands a copy of its last one, in which all that ends in the residual stream is zero. Works
file by file, so that no model has to fit into memory. Source: https://arxiv.org/abs/2401.02415
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from trainer.errors import UserError
from trainer.model.added_blocks import ADDED, ends_a_block

_INDEX = "model.safetensors.index.json"
_BLOCK = re.compile(r"(^|\.)(layers|h|blocks|block)\.(\d+)\.")
_BESIDE = {".json", ".txt", ".jinja", ".model", ".tiktoken"}
# A block has two parts that end in the residual stream: attention and MLP.
_PARTS = 2


@dataclass(frozen=True)
class _Plan:
    """Where each block goes."""

    group: int
    """How many blocks of the model stand before each new one."""

    def places(self, block: int) -> list[tuple[int, bool]]:
        """The new numbers of a block, and whether it is the new one there that starts as its copy."""
        moved = block + block // self.group
        return [(moved, False), *([(moved + 1, True)] if (block + 1) % self.group == 0 else [])]


def expand_model(source: Path, out: Path, number: int) -> list[int]:
    """Write the model of folder `source` with `number` more blocks into the new folder `out`; returns their numbers.

    Raises:
        UserError: when this model cannot be expanded so, or the folder is there already.
    """
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    plan = _plan(config, source, number)
    files = sorted(source.glob("model*.safetensors"))
    if not files:
        raise UserError("there are no safetensors in this folder", file=source)
    if out.exists():
        raise UserError("this folder is there already: a model is never overwritten", file=out)
    staging = out.with_name(f".{out.name}.staging")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        _write(source, staging, files, plan)
        added = [place for block in range(int(config["num_hidden_layers"])) for place, new in plan.places(block) if new]
        changed = {**_stretched(config, plan), ADDED: added}
        (staging / "config.json").write_text(json.dumps(changed, indent=2), encoding="utf-8")
        staging.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return added


def _plan(config: Mapping[str, Any], source: Path, number: int) -> _Plan:
    count = config.get("num_hidden_layers")
    if not isinstance(count, int):
        raise UserError("only text models can be expanded, and this one says no num_hidden_layers", file=source)
    if "quantization_config" in config:
        raise UserError("a quantized model cannot be expanded", file=source, hint="Take the model in full precision.")
    if config.get("first_k_dense_replace") or config.get("mlp_only_layers") or config.get("decoder_sparse_step", 1) > 1:
        raise UserError("the blocks of this model differ by their number, so that none can be put between", file=source)
    if number < 1 or count % number:
        ways = ", ".join(str(each) for each in range(1, count + 1) if count % each == 0)
        raise UserError(
            f"{number} blocks cannot be spread evenly over {count}: expected one of {ways}", field="--num-expand"
        )
    return _Plan(group=count // number)


def _write(source: Path, out: Path, files: list[Path], plan: _Plan) -> None:
    out.mkdir(parents=True)
    for file in source.iterdir():
        if file.suffix in _BESIDE and file.name not in ("config.json", _INDEX):
            shutil.copyfile(file, out / file.name)
    ends: dict[int, set[str]] = {}
    where: dict[str, str] = {}
    size = 0
    for file in files:
        tensors = dict(_expanded(file, plan, ends))
        save_file(tensors, out / file.name, metadata={"format": "pt"})
        where |= dict.fromkeys(tensors, file.name)
        size += sum(tensor.nbytes for tensor in tensors.values())
    if not ends or any(len(parts) < _PARTS for parts in ends.values()):
        raise UserError(
            "the blocks of this architecture are not known, so that none can be made to pass on", file=source
        )
    if len(files) > 1:
        index = {"metadata": {"total_size": size}, "weight_map": where}
        (out / _INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")


def _expanded(file: Path, plan: _Plan, ends: dict[int, set[str]]) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a file under their new names, and those of new blocks; `ends` notes what was made zero in each."""
    with safe_open(file, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118 - it is no mapping
            tensor = opened.get_tensor(name)
            found = _BLOCK.search(name)
            if found is None:
                yield name, tensor
                continue
            for place, is_new in plan.places(int(found.group(3))):
                moved = f"{name[: found.start(3)]}{place}{name[found.end(3) :]}"
                if is_new and ends_a_block(name):
                    ends.setdefault(place, set()).add(name[found.end() :].split(".")[0])
                    yield moved, torch.zeros_like(tensor)
                else:
                    yield moved, tensor.clone() if is_new else tensor


def _stretched(config: Mapping[str, Any], plan: _Plan) -> dict[str, Any]:
    """The configuration of the larger model; what it lists block by block is listed for the new ones too."""
    count = int(config["num_hidden_layers"])
    changed = dict(config)
    for name, value in config.items():
        if isinstance(value, list) and len(value) == count and name != ADDED:
            changed[name] = [each for block, each in enumerate(value) for _ in plan.places(block)]
    changed["num_hidden_layers"] = count + count // plan.group
    return changed
