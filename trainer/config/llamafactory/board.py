"""LLaMA Board's saved arguments (`top.model_name`, `train.lora_rank`, ...) as the keys that it would train with.

The file holds the state of the screen; what LLaMA Board makes of it is done here too, its fixed settings and the
accordions that only count when they are switched on. Facts of LLaMA-Factory 0.8 to 0.9.6, webui/runner.py.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping

from trainer.config.finding import Finding
from trainer.config.llamafactory.messages import import_finding, shown
from trainer.config.llamafactory.source import Entry, Source
from trainer.errors import UserError
from trainer.paths import shipped_folder

_AREAS = ("top", "train", "eval", "infer", "export")
_STAGES = {
    "Supervised Fine-Tuning": "sft",
    "Reward Modeling": "rm",
    "PPO": "ppo",
    "DPO": "dpo",
    "KTO": "kto",
    "Pre-Training": "pt",
}
# Widgets whose name is not the key that they set.
_NAMES = {
    "train.batch_size": "per_device_train_batch_size",
    "train.neftune_alpha": "neftune_noise_alpha",
    "train.train_seed": "seed",
    "train.use_pissa": "pissa_init",
    "eval.batch_size": "per_device_eval_batch_size",
    "eval.dataset": "eval_dataset",
    "eval.eval_seed": "seed",
}
_SCREEN = {
    "top.lang",
    "top.model_path",
    "top.visual_inputs",
    "train.config_path",
    "train.current_time",
    "train.device_count",
    "train.output_dir",
    "train.initial_dir",
    "train.project",
    "train.trackio_space_id",
    "train.hub_private_repo",
    "train.swanlab_link",
    "eval.output_dir",
}
# 0 and "" in these mean "not set".
_ZERO_IS_UNSET = {"train.neftune_alpha", "train.loraplus_lr_ratio"}
_PIXELS = {f"train.{name}" for name in ("image_max_pixels", "image_min_pixels", "video_max_pixels", "video_min_pixels")}
# Accordions that count only with a switch: the beginning of the widgets' names, the switch, its value.
_SWITCHED: tuple[tuple[tuple[str, ...], str, tuple[object, ...]], ...] = (
    (("freeze_trainable", "freeze_extra"), "top.finetuning_type", ("freeze",)),
    (
        ("lora_", "loraplus", "create_new", "use_rslora", "use_dora", "use_pissa", "additional_target"),
        "top.finetuning_type",
        ("lora",),
    ),
    (("pref_", "dpo_"), "train.training_stage", ("DPO", "KTO")),
    (("ppo_", "reward_model"), "train.training_stage", ("PPO",)),
    (("galore_",), "train.use_galore", (True,)),
    (("apollo_",), "train.use_apollo", (True,)),
    (("badam_",), "train.use_badam", (True,)),
    (("swanlab_",), "train.use_swanlab", (True,)),
)


def is_board(source: Source) -> bool:
    """Whether the keys are the names of LLaMA Board's widgets."""
    return any(entry.key.partition(".")[0] in _AREAS and "." in entry.key for entry in source.entries)


def board_entries(source: Source) -> tuple[list[Entry], list[Finding]]:
    """The settings that LLaMA Board would start with, and what is to be said about the file.

    Raises:
        UserError: the JSON in `extra_args` is broken.
    """
    state = {entry.key: entry.value for entry in source.entries}
    evaluates = not any(key.startswith("train.") for key in state)
    found: list[Finding] = []
    entries: list[Entry] = []
    extra: list[Entry] = []
    unused: dict[str, list[str]] = {}
    for entry in source.entries:
        switch = _switched_off(entry.key, state)
        if switch is not None:
            unused.setdefault(switch, []).append(entry.key)
            continue
        made, told = _made(source, entry, state)
        # What stands in extra_args goes over the screen.
        target = extra if entry.key.endswith(".extra_args") else entries
        target += [Entry(key, value, entry.line, entry.above, entry.beside) for key, value in made.items()]
        found += told
    found += [
        import_finding("import_board_unused", "info", names=", ".join(names), switch=switch)
        for switch, names in unused.items()
    ]
    found.append(import_finding("import_board_code", "info"))
    line = source.entries[0].line
    fixed: dict[str, object] = {"stage": "sft", "predict_with_generate": True} if evaluates else {"plot_loss": True}
    fixed["do_train"] = not evaluates
    entries += [Entry(key, value, line) for key, value in fixed.items()]
    return _last_of_each([*entries, *extra]), found


def _switched_off(key: str, state: Mapping[str, object]) -> str | None:
    """The switch that would have to stand otherwise for this widget to count; None when it counts."""
    area, _, name = key.partition(".")
    if area == "train":
        for beginnings, switch, values in _SWITCHED:
            if name.startswith(beginnings) and state.get(switch) not in values:
                if name.startswith("freeze_trainable_layers") and state.get("train.use_llama_pro") is True:
                    return None
                return f"{switch} is {' or '.join(shown(value) for value in values)}"
    if key == "top.quantization_method" and str(state.get("top.quantization_bit", "none")) == "none":
        return "top.quantization_bit is a number"
    return None


def _made(source: Source, entry: Entry, state: Mapping[str, object]) -> tuple[dict[str, object], list[Finding]]:
    """What one widget sets, and what is to be said about it."""
    key, value = entry.key, entry.value
    name = key.partition(".")[2]
    place = f"{source.path.name}:{entry.line}"
    if value in ("", None, []) or (key in _ZERO_IS_UNSET and not value):
        return {}, []
    if key in _SCREEN or not name:
        return {}, [import_finding("import_board_screen", "info", place=place, name=key)]
    if key == "top.model_name":
        return _model(place, value, state)
    if key in ("train.ds_stage", "train.ds_offload"):
        return _deepspeed(state) if key == "train.ds_stage" else {}, []
    special = _special(source, entry, state)
    if special is not None:
        return special, []
    return {_NAMES.get(key, name): value}, []


def _model(place: str, name: object, state: Mapping[str, object]) -> tuple[dict[str, object], list[Finding]]:
    """LLaMA Board saves what it calls a model, not where it lies; well-known ones it calls as their repository."""
    field = "model.model_name_or_path"
    if state.get("top.checkpoint_path") and state.get("top.finetuning_type") in ("full", "freeze"):
        return {}, []  # the checkpoint is the model
    content = tomllib.loads((shipped_folder("data") / "models.toml").read_text(encoding="utf-8"))
    found = [f"{family['owner']}/{each}" for family in content["family"] for each in family["models"] if each == name]
    if len(found) != 1:
        return {}, [import_finding("import_board_model", "warning", field, place=place, name=name)]
    told = import_finding("import_board_known_model", "warning", field, place=place, name=name, model=found[0])
    return {"model_name_or_path": found[0]}, [told]


def _special(source: Source, entry: Entry, state: Mapping[str, object]) -> dict[str, object] | None:
    """Widgets that set several keys, or others than they hold."""
    value = entry.value
    match entry.key:
        case "top.booster":
            boosters: dict[object, dict[str, object]] = {
                "flashattn2": {"flash_attn": "fa2"},
                "unsloth": {"use_unsloth": True},
                "liger_kernel": {"enable_liger_kernel": True},
            }
            return boosters.get(value, {})
        case "top.checkpoint_path" if state.get("top.finetuning_type") in ("full", "freeze"):
            return {"model_name_or_path": _saved(value, state)}
        case "top.checkpoint_path":
            return {"adapter_name_or_path": _saved(value, state)}
        case "top.rope_scaling" | "top.quantization_bit" if str(value) == "none":
            return {}
        case "train.training_stage":
            return {"stage": _STAGES.get(str(value), value)}
        case "train.compute_type":
            return {"bf16": value == "bf16", "fp16": value == "fp16", "pure_bf16": value == "pure_bf16"}
        case "train.val_size":
            return _validation(value, state)
        case "train.use_pissa":
            return {"pissa_init": value, "pissa_convert": value}
        case "train.reward_model":
            kind = "lora" if state.get("top.finetuning_type") == "lora" else "full"
            return {"reward_model": _saved(value, state), "reward_model_type": kind, "top_k": 0, "top_p": 0.9}
        case "train.report_to" if isinstance(value, bool):
            return {"report_to": "all" if value else "none"}
        case "eval.predict":
            return {"do_predict" if value else "do_eval": True}
        case "train.extra_args" | "infer.extra_args" | "export.extra_args":
            return _extra(source, entry)
    return {entry.key.partition(".")[2]: _pixels(value)} if entry.key in _PIXELS else None


def _saved(value: object, state: Mapping[str, object]) -> str:
    """Where LLaMA Board finds what it lists by name alone: `saves/<model>/<method>/<name>`."""
    names = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    model = str(state.get("top.model_name", "")).replace(" ", "")
    folder = f"saves/{model}/{state.get('top.finetuning_type', 'lora')}"
    return ",".join(name if "/" in name else f"{folder}/{name}" for name in names)


def _validation(value: object, state: Mapping[str, object]) -> dict[str, object]:
    if not isinstance(value, int | float) or value <= 1e-6 or state.get("train.training_stage") == "PPO":
        return {}
    made: dict[str, object] = {"val_size": value, "eval_strategy": "steps"}
    for name, widget in (("eval_steps", "train.save_steps"), ("per_device_eval_batch_size", "train.batch_size")):
        if widget in state:
            made[name] = state[widget]
    return made


def _deepspeed(state: Mapping[str, object]) -> dict[str, object]:
    stage = str(state.get("train.ds_stage", "none"))
    if stage == "none":
        return {}
    offload = "_offload" if state.get("train.ds_offload") else ""
    return {"deepspeed": f"llamaboard_cache/ds_z{stage}{offload}_config.json"}


def _extra(source: Source, entry: Entry) -> dict[str, object]:
    try:
        content = json.loads(str(entry.value))
    except ValueError as error:
        broken = f"holds broken JSON: {error}"
        raise UserError(broken, file=source.path, line=entry.line, field=entry.key) from error
    return dict(content) if isinstance(content, dict) else {}


def _pixels(value: object) -> object:
    """`768*768` as a number."""
    width, times, height = str(value).partition("*")
    if times and width.strip().isdigit() and height.strip().isdigit():
        return int(width) * int(height)
    return value


def _last_of_each(entries: list[Entry]) -> list[Entry]:
    """Of a key that is set twice the later one counts."""
    kept: dict[str, Entry] = {}
    for entry in entries:
        kept.pop(entry.key, None)
        kept[entry.key] = entry
    return list(kept.values())
