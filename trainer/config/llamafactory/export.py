"""A recipe as a LLaMA-Factory file, with what cannot be said there. Not for reading such files (`convert`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config.finding import Finding
from trainer.config.llamafactory.defaults import THEIR_DEFAULTS
from trainer.config.llamafactory.messages import import_finding, shown
from trainer.config.llamafactory.names import KNOWN_THERE
from trainer.config.locations import SHIPPED, resolve_dataset_dir, resolve_model_path
from trainer.config.parameter import Parameter, parameters
from trainer.config.recipe import Recipe
from trainer.config.resolve import Resolved

_HEADINGS = {
    "model": ("model", "quantization", "multimodal", "inference"),
    "export": ("export",),
    "method": ("method", "freeze", "lora", "oft", "preference", "ppo", "galore", "apollo", "badam", "fp8"),
    "dataset": ("data",),
    "benchmark": ("evaluation",),
    "generation": ("generation",),
    "train": ("train", "trainer"),
    "reporting": ("swanlab", "profiler"),
    "ray": ("ray",),
}
# Where LLaMA-Factory knows fewer choices than we do.
_THEIR_CHOICES: Mapping[str, tuple[str, ...]] = {
    "method.finetuning_type": ("lora", "oft", "freeze", "full"),
    "method.stage": ("pt", "sft", "rm", "ppo", "dpo", "kto"),
    "preference.pref_loss": ("sigmoid", "hinge", "ipo", "kto_pair", "orpo", "simpo"),
    "quantization.quantization_method": ("bnb", "hqq", "eetq"),
    "model.flash_attn": ("auto", "disabled", "sdpa", "fa2", "fa3"),
    "train.save_strategy": ("no", "steps", "epoch", "best"),
}
# Always written, so that the file says what it does: LLaMA-Factory's default would be another or nothing.
_ALWAYS = ("method.stage", "method.finetuning_type", "train.do_train", "train.learning_rate")
_BENCHMARK = ("evaluation.seed", "evaluation.batch_size")
_PLAIN = re.compile(r"[A-Za-z0-9_./\-@+][A-Za-z0-9_./\-@+ =()|,<>]*$")


@dataclass(frozen=True)
class Exported:
    """The text of the file, and what it does not say."""

    text: str
    findings: tuple[Finding, ...]


def llamafactory_text(resolved: Resolved, origin: str) -> Exported:
    """The YAML that means with LLaMA-Factory what the recipe means with us; `origin` names where it comes from.

    What was left open is written as it was chosen on this machine.
    """
    chosen = {key: choice.value for key, choice in resolved.chosen.items() if _has_to_say(key, resolved.recipe)}
    # What LLaMA-Factory chooses by itself as we do is left to it.
    left = {key: None for key in resolved.chosen if key not in chosen}
    recipe, findings = resolved.recipe.with_values(left), []
    lines: dict[str, list[str]] = {heading: [] for heading in _HEADINGS}
    headings = {table: heading for heading, names in _HEADINGS.items() for table in names}
    for each in parameters():
        value = recipe.value(each.key)
        found = _cannot_say(each, value, recipe)
        if found is not None:
            findings.append(found)
        elif each.key not in left and each.name in KNOWN_THERE.get(each.table, ()) and _is_written(each, value, recipe):
            name, value = _their_words(each, value)
            lines[headings[each.table]] += _lines(name, value)
    lines["train"] += [line for name, value in recipe.trainer.items() for line in _lines(name, value)]
    findings += _data_places(recipe)
    if chosen:
        settings = ", ".join(f"{key.partition('.')[2]} = {shown(value)}" for key, value in chosen.items())
        findings.append(import_finding("export_chosen", "info", *chosen, settings=settings))
    parts = [f"### {heading}\n" + "\n".join(body) + "\n" for heading, body in lines.items() if body]
    head = f"# Made from {origin} by `trimtab export-config --llamafactory`.\n"
    notes = "".join(f"# {finding.text}\n" for finding in findings if finding.id.startswith("export_"))
    return Exported("\n".join([head + notes, *parts]), tuple(findings))


def _has_to_say(key: str, recipe: Recipe) -> bool:
    """Whether a value that `resolve` chose must stand in the file: LLaMA-Factory would take another."""
    if key == "train.per_device_eval_batch_size":
        return recipe.train.eval_strategy != "no" or recipe.train.do_eval or recipe.train.do_predict
    return key in ("train.learning_rate", "train.bf16", "train.eval_steps", "data.neat_packing")


def _is_written(each: Parameter, value: object, recipe: Recipe) -> bool:
    """Whether the file has to say it: where LLaMA-Factory's default is another."""
    if each.key in _ALWAYS:
        return value is not None
    if each.table == "oft" and each.name in ("additional_target", "create_new_adapter"):
        return recipe.method.finetuning_type == "oft" and value != each.default
    if each.table == "lora" and each.name in ("additional_target", "create_new_adapter"):
        return recipe.method.finetuning_type != "oft" and value != each.default
    if each.key in _BENCHMARK and recipe.evaluation.task is None:
        return False
    if each.key == "train.seed" and recipe.evaluation.task is not None:
        return False
    if each.key == "train.eval_steps":
        # Theirs is logging_steps.
        return recipe.train.eval_strategy == "steps"
    if each.key == "train.gradient_checkpointing" and value is False:
        return not recipe.model.disable_gradient_checkpointing
    if each.key == "train.bf16" and value is False:
        return False
    if each.table == "swanlab" and not recipe.swanlab.use_swanlab and each.key in THEIR_DEFAULTS:
        return value != each.default
    return value != THEIR_DEFAULTS.get(each.key, each.default)


def _cannot_say(each: Parameter, value: object, recipe: Recipe) -> Finding | None:
    told = {"name": each.name, "value": shown(value)}
    if each.name not in KNOWN_THERE.get(each.table, frozenset()):
        theirs = THEIR_DEFAULTS.get(each.key, each.default)
        if value == theirs:
            return None
        if each.key in THEIR_DEFAULTS:
            return import_finding("export_cannot_say_default", "info", each.key, theirs=shown(theirs), **told)
        return import_finding("export_cannot_say", "warning", each.key, **told)
    choices = _THEIR_CHOICES.get(each.key)
    if choices is not None and value not in choices and value != each.default:
        return import_finding("export_cannot_say_choice", "warning", each.key, known=" | ".join(choices), **told)
    hidden = each.key == "train.seed" and recipe.evaluation.task is not None
    if hidden and value not in (each.default, recipe.evaluation.seed):
        return import_finding("export_cannot_say", "warning", each.key, **told)
    return None


def _data_places(recipe: Recipe) -> list[Finding]:
    """Data sets that LLaMA-Factory can only use through `dataset_info.json`."""
    found = []
    for key in ("data.dataset", "data.eval_dataset"):
        for name in getattr(recipe.data, key.partition(".")[2]):
            if "://" in name:
                found.append(import_finding("export_data_hub", "warning", key, value=name))
            elif ("/" in name and recipe.data.dataset_dir != "ONLINE") or re.search(r"\.\w{2,7}(\.gz)?$", name):
                found.append(import_finding("export_data_path", "warning", key, value=name))
    return found


def _their_words(each: Parameter, value: Any) -> tuple[str, object]:
    """Name and value as LLaMA-Factory has them."""
    if each.key == "data.enable_thinking" and value == "mixed":
        return each.name, None
    if each.key == "train.gradient_checkpointing" and value is False:
        # Theirs is on whatever transformers' own switch says.
        return "disable_gradient_checkpointing", True
    if each.key == "data.dataset_dir" and str(value).startswith(SHIPPED):
        return each.name, str(resolve_dataset_dir(value))
    if each.kind == "list":
        return each.name, ",".join(shown(item) for item in value)
    shipped = isinstance(value, str) and value.startswith(SHIPPED)
    return each.name, resolve_model_path(value) if shipped else value


def _lines(name: str, value: Any, indent: str = "") -> list[str]:
    """One key as YAML."""
    if isinstance(value, dict) and value:
        inner = [line for key, item in value.items() for line in _lines(str(key), item, indent + "  ")]
        return [f"{indent}{_scalar(name)}:", *inner]
    if isinstance(value, list) and value:
        return [f"{indent}{_scalar(name)}: [{', '.join(_scalar(item) for item in value)}]"]
    return [f"{indent}{_scalar(name)}: {_scalar(value)}"]


def _scalar(value: object) -> str:
    """A value that every YAML reader takes for the same: numbers with a point before the exponent, odd text quoted."""
    if value is None or isinstance(value, bool):
        return shown(value)
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    import yaml

    plain = _PLAIN.match(text) is not None and text == text.strip() and " #" not in text
    if plain and yaml.safe_load(text) == text and not _looks_like_a_number(text):
        return text
    # JSON's strings are YAML's double-quoted ones.
    return json.dumps(text, ensure_ascii=False)


def _looks_like_a_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
