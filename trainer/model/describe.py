"""What a prepared model trains, in numbers and in one line, for the user to see before the first step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from trainer.model import pissa
from trainer.model.adapters import kind_of, settings_of
from trainer.model.layers import inside_layer, layer_of
from trainer.run.messages import Say, words


@dataclass(frozen=True)
class ParameterCount:
    """How many parameters a model has and how many of them are trained."""

    trainable: int
    total: int


def tell_what_is_trained(model: Any, say: Say, *, in_turns: bool = False) -> ParameterCount:
    """Say how many parameters are trained, which they are, and what is frozen; returns the count.

    `in_turns`: an optimizer chooses among them, and says itself what has its turn and what never has.
    """
    count = count_parameters(model)
    if in_turns:
        say("info", words("run_parameters_in_turns", trainable=f"{count.trainable:,}", total=f"{count.total:,}"))
        return count
    percent = f"{100 * count.trainable / count.total:.4g}"
    say("info", words("run_parameters", trainable=f"{count.trainable:,}", total=f"{count.total:,}", percent=percent))
    if hasattr(model, "peft_config"):
        _tell_of_adapter(model, say)
    else:
        trained = _parts(name for name, parameter in model.named_parameters() if parameter.requires_grad)
        frozen = _parts(name for name, parameter in model.named_parameters() if not parameter.requires_grad)
        if frozen:
            say("info", words("run_trained_parts", trained=trained, frozen=frozen))
        else:
            say("info", words("run_all_trained"))
    return count


def count_parameters(model: Any) -> ParameterCount:
    """Count the model's parameters; tied weights count once, quantized ones as the numbers that they stand for."""
    counts = [
        (numbers_of(parameter), parameter.requires_grad)
        for name, parameter in model.named_parameters()
        # What PiSSA started from is kept for the checkpoint, and is no part of the model.
        if pissa.START not in name.split(".")
    ]
    packed = sum(_packed_numbers(module) for module in model.modules())
    return ParameterCount(
        trainable=sum(number for number, is_trained in counts if is_trained),
        total=packed + sum(number for number, _ in counts),
    )


def numbers_of(parameter: Any) -> int:
    """How many numbers a parameter holds; bitsandbytes packs two of 4 bits into a byte."""
    state = getattr(parameter, "quant_state", None)
    return math.prod(state.shape) if state is not None else int(parameter.numel())


def _packed_numbers(module: Any) -> int:
    """The weights of a linear layer of GPTQ or AWQ, which holds them packed in buffers; for one of HQQ what its packed
    parameter holds beyond its own size.
    """
    if type(module).__name__ == "HQQLinear":
        return int(math.prod(module.meta["shape"]) - module.W_q.numel())
    if "qweight" not in getattr(module, "_buffers", {}):
        return 0
    return int(module.in_features * module.out_features)


def _tell_of_adapter(model: Any, say: Say) -> None:
    kind, settings = kind_of(model), settings_of(model)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if model.peft_config["default"].is_prompt_learning:
        count = model.peft_config["default"].num_virtual_tokens
        say("info", words("run_prompt_trained", kind=kind, count=count))
        return
    whole = sorted({name.partition(".modules_to_save.")[0].rpartition(".")[2] for name in trained if _is_whole(name)})
    names = sorted({_layer_with_adapter(name) for name in trained if not _is_whole(name)})
    layers = {layer_of(name) for name in trained} - {None}
    values = {"kind": f"{kind} ({settings})" if settings else kind, "names": ", ".join(names), "count": len(layers)}
    if whole:
        say("info", words("run_adapter_and_whole_trained", whole=", ".join(whole), **values))
    else:
        say("info", words("run_adapter_trained", **values))


def _is_whole(name: str) -> bool:
    return ".modules_to_save." in name


def _layer_with_adapter(name: str) -> str:
    """`q_proj` of `...layers.0.self_attn.q_proj.lora_A.default.weight`: what stands before the adapter's own parts."""
    parts = [part for part in name.split(".") if part not in ("weight", "default", "base_layer")]
    return parts[-3] if parts[-1].isdigit() else parts[-2]


def _parts(names: Iterable[str]) -> str:
    """Parameters by the parts of the model that they belong to: "embed_tokens, layers 0-26, norm"."""
    inside: dict[str, list[int]] = {}
    outside: list[str] = []
    whole: dict[int, set[str]] = {}
    for name in names:
        number = layer_of(name)
        if number is None:
            part = name.split(".")[-2]
            if part not in outside:
                outside.append(part)
        else:
            whole.setdefault(number, set()).add(inside_layer(name))
    for number, modules in sorted(whole.items()):
        inside.setdefault(", ".join(sorted(modules)), []).append(number)
    layers = [f"layers {_ranges(numbers)} ({modules})" for modules, numbers in inside.items()]
    return "; ".join([*layers, *([", ".join(outside)] if outside else [])])


def _ranges(numbers: list[int]) -> str:
    """Numbers in order, with what follows on drawn together: "0-2, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
