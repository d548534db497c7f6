"""Rules of what a run leaves behind and sends away: its directory, reports, uploads, measurements of its steps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches

from trainer.config.finding import Finding
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.reporters import PACKAGES, is_installed
from trainer.config.rules.base import Rule, error, found, warning

# They say which steps are measured, by the profiler and by profile_modules alike.
_PROFILED_STEPS = (
    "profiler_output_dir",
    "profiler_wait_steps",
    "profiler_warmup_steps",
    "profiler_active_steps",
    "profiler_repeat",
)


def run_directory(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Where the run lies: one place, never overwritten."""
    train = recipe.train
    if train.overwrite_output_dir:
        key = "train.overwrite_output_dir"
        yield error("run_is_never_overwritten", key, "train.run_name", change={key: False})
    name, folder = train.run_name, train.output_dir
    if name is not None and folder is None and (not name.strip() or "/" in name or name.startswith(".")):
        yield error(
            "run_name_is_path", "train.run_name", "train.output_dir", change={"train.run_name": None}, value=name
        )
    elif name is not None and folder is not None and not _reports(recipe):
        fields = ("train.run_name", "train.output_dir")
        yield warning("two_names", *fields, change={"train.run_name": None}, name=name, folder=folder)


def _reports(recipe: Recipe) -> bool:
    return recipe.train.report_to != ["none"] or recipe.swanlab.use_swanlab


def reports(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Services that get the figures: known, installed, and asked for in one way."""
    key, asked = "train.report_to", recipe.train.report_to
    others = [name for name in asked if name != "none"]
    if "none" in asked and others:
        yield error("report_to_none_and_others", key, change={key: others}, others=", ".join(others))
    for name in others:
        if name == "all":
            continue
        if name not in PACKAGES:
            near = get_close_matches(name, [*PACKAGES, "all", "none"], n=1)
            change = {key: [near[0] if each == name else each for each in asked]} if near else {key: ["none"]}
            yield error("report_to_unknown", key, change=change, name=name, known=", ".join(PACKAGES))
        elif not is_installed(name):
            left = [each for each in asked if each != name] or ["none"]
            yield error("report_package_missing", key, change={key: left}, name=name, package=PACKAGES[name].install)
    if recipe.swanlab.use_swanlab and not is_installed("swanlab"):
        key = "swanlab.use_swanlab"
        yield error("report_package_missing", key, change={key: False}, name="swanlab", package="swanlab")


def uploads(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """An upload needs the right to it, and is better refused before the training than after."""
    if recipe.train.push_to_hub and not os.environ.get("HF_TOKEN"):
        yield error("upload_without_token", "train.push_to_hub", change={"train.push_to_hub": False})


def measuring(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Which steps are measured says nothing when nothing is."""
    table = recipe.profiler
    if table.enable_torch_profiler or table.profile_modules:
        return
    for name in _PROFILED_STEPS:
        key = f"profiler.{name}"
        default = type(table).model_fields[name].default
        if recipe.value(key) != default:
            values = {"condition_name": "enable_torch_profiler", "condition_values": "true"}
            fields = (key, "profiler.enable_torch_profiler")
            yield found("has_no_effect", "info", *fields, change={key: default}, name=name, **values)


OUTPUT_RULES: tuple[Rule, ...] = (run_directory, reports, uploads, measuring)
