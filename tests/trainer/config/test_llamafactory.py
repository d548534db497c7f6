"""LLaMA-Factory files: each example kind means the same here, nothing is dropped in silence, and the way back holds."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from trainer.config import Hardware, Parameter, PresetErrors, Recipe, load_preset, parameters, resolve
from trainer.config.llamafactory import import_file, preset_text
from trainer.config.llamafactory.export import llamafactory_text
from trainer.config.llamafactory.names import KNOWN_THERE
from trainer.errors import UserError

EXAMPLES = Path(__file__).parent / "llamafactory"
GOOD = sorted(file for file in EXAMPLES.rglob("*.*") if "broken" not in file.parts)
CPU = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)


def write(folder: Path, text: str, name: str = "file.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def recipe(folder: Path, text: str) -> Recipe:
    return load_preset(write(folder, text)).recipe


def told(folder: Path, text: str) -> list[str]:
    """The findings of a file, without the list of kept defaults."""
    made = import_file(write(folder, text))
    return [finding.text for finding in made.findings if finding.id not in ("import_defaults", "import_no_training")]


def problems(folder: Path, text: str, name: str = "file.yaml") -> list[str]:
    with pytest.raises(PresetErrors) as caught:
        load_preset(write(folder, text, name))
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize("file", GOOD, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_key_of_every_example_has_a_place_or_is_told(file: Path) -> None:
    made = import_file(file)
    assert made.problems == []
    recipe = load_preset(file).recipe
    taken = {entry.key for entry in made.entries.values()}
    spoken = " ".join(finding.text for finding in made.findings)
    for entry in made.source.entries:
        short = entry.key.partition(".")[2] if entry.key.startswith(("top.", "train.", "eval.")) else entry.key
        empty = entry.value in (None, "", [], "none", "auto", 0)
        by_another = {
            "batch_size",
            "dataset",
            "checkpoint_path",
            "booster",
            "training_stage",
            "compute_type",
            "ds_stage",
        }
        by_another |= {"ds_offload", "extra_args", "neftune_alpha", "train_seed", "use_pissa", "predict", "model_name"}
        false = entry.value is False and entry.key == "overwrite_output_dir"
        assert empty or false or short in taken or short in spoken or short in by_another, entry.key
    assert recipe.value("method.finetuning_type") in ("lora", "freeze", "full", "oft")


@pytest.mark.parametrize("file", GOOD, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_preset_that_is_written_means_what_the_file_means(file: Path, tmp_path: Path) -> None:
    text = preset_text(import_file(file), "for tests")
    written = write(tmp_path, text, "written.toml")
    assert load_preset(written).recipe == load_preset(file).recipe
    assert next(iter(tomllib.loads(text))) == "description"


@pytest.mark.parametrize("file", GOOD, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_way_back_keeps_the_file(file: Path, tmp_path: Path) -> None:
    first = load_preset(file).recipe
    exported = llamafactory_text(resolve(first, CPU), "x")
    again = load_preset(write(tmp_path, exported.text)).recipe
    assert resolve(again, CPU).recipe == resolve(first, CPU).recipe


def test_an_example_for_lora_value_by_value() -> None:
    values = load_preset(EXAMPLES / "train_lora/sft.yaml").values
    assert values == {
        "model": {"model_name_or_path": "org/chat-8b", "trust_remote_code": False},
        "method": {"stage": "sft", "finetuning_type": "lora", "plot_loss": True},
        "lora": {"lora_rank": 8, "lora_target": ["all"]},
        "data": {
            "dataset": ["identity", "alpaca_en_demo"],
            "template": "qwen3_nothink",
            "cutoff_len": 1024,
            "max_samples": 500,
            "preprocessing_num_workers": 4,
            "on_bad_row": "skip",
        },
        "train": {
            "do_train": True,
            "dataloader_num_workers": 2,
            "output_dir": "saves/sft",
            "logging_steps": 10,
            "save_steps": 250,
            "save_only_model": False,
            "report_to": ["none"],
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": 8,
            "learning_rate": 1e-4,
            "num_train_epochs": 3.0,
            "lr_scheduler_type": "cosine",
            "warmup_ratio": 0.1,
            "bf16": True,
            "ddp_timeout": 180000000,
            "optim": "adamw_torch_fused",
        },
    }


def test_comments_stay_with_their_keys_and_headings_become_tables() -> None:
    text = preset_text(import_file(EXAMPLES / "train_lora/sft.yaml"), "x")
    assert 'model_name_or_path = "org/chat-8b" # or a local folder' in text
    assert 'report_to = ["none"] # or wandb, tensorboard, swanlab, mlflow' in text
    assert "\n# eval_dataset: alpaca_en_demo\n# val_size: 0.1\n" in text
    assert "### " not in text
    assert "# LLaMA-Factory's defaults, where trimtab's differ:\noptim" in text


def test_comments_above_blocks_and_quoted_hashes(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "do_train: true\nresources_per_worker:\n  GPU: 1  # inner\n# of the block after\nrun_name: 'a # b'  # real\n",
    )
    text = preset_text(import_file(file), "x")
    assert '# of the block after\nrun_name = "a # b" # real' in text


def test_their_defaults_are_kept_where_ours_differ(tmp_path: Path) -> None:
    train = recipe(tmp_path, "do_train: true\neval_strategy: steps\nval_size: 0.1\nuse_swanlab: true\n")
    expected: dict[str, Any] = {
        "learning_rate": 5e-5,
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "lr_scheduler_type": "linear",
        "optim": "adamw_torch_fused",
        "bf16": False,
        "logging_steps": 500,
        "save_steps": 500,
        "eval_steps": 500,
    }
    assert {name: train.value(f"train.{name}") for name in expected} == expected
    assert train.data.on_bad_row == "skip"
    assert train.swanlab.swanlab_project == "llamafactory"


def test_their_defaults_are_those_of_the_installed_transformers() -> None:
    from transformers import TrainingArguments

    from trainer.config.llamafactory.defaults import THEIR_DEFAULTS

    fields = TrainingArguments.__dataclass_fields__
    shared = {key: value for key, value in THEIR_DEFAULTS.items() if key.partition(".")[2] in fields}
    assert len(shared) >= 9
    assert {key: fields[key.partition(".")[2]].default for key in shared} == shared


def test_a_file_for_chat_or_export_does_not_train() -> None:
    for name in ("inference/chat.yaml", "merge_lora/merge.yaml"):
        values = load_preset(EXAMPLES / name).values
        assert values["train"] == {"do_train": False}


def test_seed_and_batch_size_of_a_benchmark_are_its_own() -> None:
    loaded = load_preset(EXAMPLES / "train_lora/benchmark.yaml").recipe
    assert (loaded.evaluation.seed, loaded.evaluation.batch_size, loaded.train.seed) == (7, 4, 42)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("learning_rate: 1e-4", "train.learning_rate", 1e-4),
        ("learning_rate: '2e-4'", "train.learning_rate", 2e-4),
        ("num_train_epochs: '3'", "train.num_train_epochs", 3.0),
        ("max_samples: '1000'", "data.max_samples", 1000),
        ("bf16: 'True'", "train.bf16", True),
        ("bf16: yes", "train.bf16", True),
        ("packing: null", "data.packing", None),
        ("enable_thinking: null", "data.enable_thinking", "mixed"),
        ("enable_thinking: false", "data.enable_thinking", False),
        ("eval_strategy: no", "train.eval_strategy", "no"),
        ("save_strategy: false", "train.save_strategy", "no"),
        ("evaluation_strategy: epoch", "train.eval_strategy", "epoch"),
        ("finetuning_type: qlora", "quantization.quantization_bit", 4),
        ("finetuning_type: qlora", "method.finetuning_type", "lora"),
        ("stage: orpo", "preference.pref_loss", "orpo"),
        ("stage: orpo", "method.stage", "dpo"),
        ("quantization_method: bitsandbytes", "quantization.quantization_method", "bnb"),
        ("quantization_bit: '8'", "quantization.quantization_bit", 8),
        ("rope_scaling: none", "model.rope_scaling", None),
        ("flash_attn: true", "model.flash_attn", "fa2"),
        ("target_modules: [q_proj, v_proj]", "lora.lora_target", ["q_proj", "v_proj"]),
        ("lora_target: q_proj, v_proj", "lora.lora_target", ["q_proj", "v_proj"]),
        ("lora_target: all", "lora.lora_target", ["all"]),
        ("interleave_probs: 0.3,0.7", "data.interleave_probs", [0.3, 0.7]),
        ("report_to: none", "train.report_to", ["none"]),
        ("report_to: [wandb, tensorboard]", "train.report_to", ["wandb", "tensorboard"]),
        ("warmup_steps: 0.1", "train.warmup_ratio", 0.1),
        ("warmup_steps: 20", "train.warmup_steps", 20),
        ("lr_scheduler_kwargs: '{\"min_lr\": 1e-6}'", "train.lr_scheduler_kwargs", {"min_lr": 1e-6}),
        ("deepspeed: examples/deepspeed/ds_z3_config.json", "train.deepspeed", "examples/deepspeed/ds_z3_config.json"),
        ("fsdp: [full_shard, auto_wrap]", "train.fsdp", "full_shard auto_wrap"),
        ("dataset_dir: REMOTE:org/sets", "data.dataset_dir", "REMOTE:org/sets"),
        ("dpo_beta: 0.2", "preference.pref_beta", 0.2),
        ("num_layer_trainable: 3", "freeze.freeze_trainable_layers", 3),
        ("resume_from_checkpoint: true", "train.resume_from_checkpoint", "latest"),
        ("resume_from_checkpoint: false", "train.resume_from_checkpoint", None),
        ("val_size: 100", "data.val_size", 100.0),
        ("master_port: 29500", "ray.master_port", "29500"),
        ("export_quantization_bit: '4'", "export.export_quantization_bit", 4),
        ("template: vanilla", "data.template", "empty"),
        ("logging_first_step: true", "trainer.logging_first_step", True),
        ("include_num_input_tokens_seen: non_padding", "train.include_num_input_tokens_seen", True),
    ],
)
def test_values_are_translated(tmp_path: Path, line: str, key: str, value: object) -> None:
    assert recipe(tmp_path, f"do_train: true\n{line}\n").value(key) == value


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "overwrite_output_dir: true",
            "file.yaml:2: overwrite_output_dir is not taken over: a run is never overwritten",
        ),
        ("save_safetensors: true", "file.yaml:2: save_safetensors is not taken over: today's LLaMA-Factory"),
        ("use_kt: true", "file.yaml:2: use_kt is not taken over: it belongs to KTransformers"),
        ("disable_tqdm: true", "file.yaml:2: disable_tqdm is not taken over: trimtab sets it itself"),
        ("hub_strategy: end", "file.yaml:2: hub_strategy is not taken over: trimtab sets it itself"),
        ("target_modules: q_proj", "file.yaml:2: target_modules is called lora_target here"),
        ("finetuning_type: qlora", "finetuning_type = qlora became finetuning_type = lora, quantization_bit = 4"),
        ("enable_thinking: null", "file.yaml:2: enable_thinking = null became mixed"),
        ("output_dir: ${oc.env:HOME}/x", "output_dir holds ${oc.env:HOME}/x, which LLaMA-Factory does not fill in"),
    ],
)
def test_what_is_not_taken_as_it_stands_is_told(tmp_path: Path, line: str, text: str) -> None:
    found = told(tmp_path, f"do_train: true\n{line}\n")
    assert len(found) == 1
    assert text in found[0]


def test_secrets_are_never_written(tmp_path: Path) -> None:
    secret = "hf_" + "s3cret" * 5
    file = write(
        tmp_path,
        f"# hf_hub_token: {secret}\ndo_train: true\nhf_hub_token: {secret}\nms_hub_token: {secret}  # {secret}\n"
        f"ray_init_kwargs:\n  runtime_env:\n    env_vars:\n      HF_TOKEN: {secret}\n      A: b\n# {secret}\n",
    )
    made = import_file(file)
    assert secret not in preset_text(made, "x")
    words = " ".join(finding.text for finding in made.findings)
    assert secret not in words
    assert "set the environment variable HF_TOKEN" in words
    assert "HF_TOKEN of ray_init_kwargs looks like a secret" in words
    assert load_preset(file).recipe.ray.ray_init_kwargs == {"runtime_env": {"env_vars": {"A": "b"}}}


def test_unknown_keys_and_wrong_values_are_all_named_with_line_and_near_match(tmp_path: Path) -> None:
    text = (
        "do_train: true\nlearning_rte: 1e-4\nlora_rank: big\nfinetuning_type: loar\ncutoff_len: 1.5\nmax_steps: [1]\n"
    )
    assert problems(tmp_path, text) == [
        "file.yaml:2: learning_rte: LLaMA-Factory and trimtab know no such setting. "
        "Did you mean 'learning_rate' of [train]?",
        "file.yaml:5: data.cutoff_len = 1.5: expected a whole number from 1",
        "file.yaml:3: lora.lora_rank = 'big': expected a whole number from 1 to 4096",
        "file.yaml:4: method.finetuning_type = 'loar': expected one of lora, oft, freeze, full, "
        "adalora, vera, loha, lokr, miss, ia3, ln_tuning, prompt_tuning, prefix_tuning. Did you mean 'lora'?",
        "file.yaml:6: train.max_steps = [1]: expected a whole number from -1",
    ]


def test_two_names_of_one_setting_are_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, "lora_target: all\ntarget_modules: q_proj\n") == [
        "file.yaml:2: target_modules: is set twice: lora_target in line 1 means the same"
    ]


def test_lines_of_json_are_named_too(tmp_path: Path) -> None:
    text = '{"stage": "sft",\n "lora_rank": "x"}'
    assert problems(tmp_path, text, "file.json")[0].startswith("file.json:2: lora.lora_rank = 'x'")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("indent.yaml", ":2: broken YAML, column 12: mapping values are not allowed here"),
        (
            "tab.yaml",
            ":3: broken YAML, column 1: found character '\\t' that cannot start any token. Indent with spaces.",
        ),
        ("quote.yaml", ":4: broken YAML"),
        ("twice.yaml", ":3: lora_rank: stands there twice"),
        ("twice.json", ":3: lora_rank: stands there twice"),
        ("comma.json", ":3: broken JSON, column 1"),
        ("list.yaml", ":1: holds no keys with values at its top"),
        ("list.json", ":1: holds no keys with values at its top"),
        ("scalar.yaml", ":1: holds no keys with values at its top"),
        ("empty.yaml", ": holds no settings"),
        ("comments.yaml", ": holds no settings"),
        ("empty.json", ": holds no settings"),
        ("two_documents.yaml", ":2: broken YAML"),
        ("object.yaml", ":1: broken YAML, column 8: could not determine a constructor"),
        ("number_key.yaml", ":2: 1: a key must be text"),
        ("latin1.yaml", ": is not UTF-8 text"),
        ("utf16.yaml", ": is not UTF-8 text"),
        ("control.yaml", ": broken YAML: unacceptable character"),
    ],
)
def test_broken_files_are_named_with_the_line(name: str, text: str) -> None:
    with pytest.raises(UserError) as caught:
        load_preset(EXAMPLES / "broken" / name)
    assert f"{name}{text}" in str(caught.value)


def test_all_broken_files_are_tested() -> None:
    tested = test_broken_files_are_named_with_the_line.pytestmark[0].args[1]
    assert {case[0] for case in tested} == {file.name for file in (EXAMPLES / "broken").iterdir()}


def test_overrides_lie_over_the_file_and_over_kept_defaults() -> None:
    words = ["lora_rank=4", "optim=adamw_torch", "train.learning_rate=1e-3"]
    loaded = load_preset(EXAMPLES / "train_lora/sft.yaml", words).recipe
    assert (loaded.lora.lora_rank, loaded.train.optim, loaded.train.learning_rate) == (4, "adamw_torch", 1e-3)


def test_a_preset_cannot_build_upon_such_a_file(tmp_path: Path) -> None:
    write(tmp_path, "stage: sft\n")
    preset = write(tmp_path, 'extends = "file.yaml"\n', "mine.toml")
    with pytest.raises(UserError, match="cannot build upon a LLaMA-Factory file"):
        load_preset(preset)


def test_board_arguments_become_what_the_board_would_train_with() -> None:
    loaded = load_preset(EXAMPLES / "board/llamaboard_config.yaml").recipe
    expected = {
        "quantization.quantization_bit": 4,
        "model.enable_liger_kernel": True,
        "model.model_name_or_path": None,
        "method.stage": "sft",
        "method.plot_loss": True,
        "train.bf16": True,
        "train.per_device_train_batch_size": 4,
        "train.neftune_noise_alpha": 5.0,
        "train.learning_rate": 1e-4,
        "train.seed": 7,
        "train.deepspeed": "llamaboard_cache/ds_z2_offload_config.json",
        "train.eval_strategy": "steps",
        "train.eval_steps": 100,
        "train.logging_steps": 7,
        "train.weight_decay": 0.1,
        "multimodal.image_max_pixels": 768 * 768,
        "swanlab.swanlab_run_name": "mine",
        "lora.loraplus_lr_ratio": None,
        "lora.use_dora": True,
    }
    assert {key: loaded.value(key) for key in expected} == expected
    made = import_file(EXAMPLES / "board/llamaboard_config.yaml")
    assert "key-that-must-not-travel" not in preset_text(made, "x")
    assert any(finding.id == "import_board_model" and "Chat-8B-Instruct" in finding.text for finding in made.findings)


def test_a_well_known_model_of_the_board_is_found_by_its_name(tmp_path: Path) -> None:
    text = "top.model_name: Qwen3-8B\ntop.finetuning_type: lora\ntrain.dataset: [identity]\n"
    assert recipe(tmp_path, text).model.model_name_or_path == "Qwen/Qwen3-8B"
    assert "it is taken to be Qwen/Qwen3-8B of the hub" in told(tmp_path, text)[0]


def test_board_arguments_for_evaluation_and_ppo() -> None:
    evaluation = load_preset(EXAMPLES / "board/evaluation.yaml").recipe
    assert (evaluation.train.do_train, evaluation.train.do_predict) == (False, True)
    assert evaluation.data.eval_dataset == ["identity"]
    assert evaluation.model.adapter_name_or_path == ["saves/Custom/lora/train_2026-01-01"]
    ppo = load_preset(EXAMPLES / "board/ppo_full.yaml").recipe
    assert ppo.model.model_name_or_path == "saves/Chat/full/first"
    assert (ppo.ppo.reward_model, ppo.ppo.reward_model_type) == ("saves/Chat/full/reward", "full")
    assert (ppo.generation.top_k, ppo.generation.top_p, ppo.method.pure_bf16) == (0, 0.9, True)


# The way back

# A recipe that LLaMA-Factory can say: what it always does, and nothing left open.
SAYABLE = {"data.on_bad_row": "skip", "train.learning_rate": 1e-4, "train.bf16": False}
SPECIAL: dict[str, object] = {
    "model.model_name_or_path": "org/chat",
    "model.adapter_name_or_path": ["a", "b c"],
    "data.default_system": "Be brief: yes\n# no",
    "data.enable_thinking": "mixed",
    "train.resume_from_checkpoint": "latest",
    "train.run_name": "1e5",
    "train.bf16": True,
    "train.gradient_checkpointing": True,
    "train.do_train": False,
    "train.report_to": ["wandb", "tensorboard"],
    "ray.master_port": "29500",
    "evaluation.seed": 3,
}
# It stands for a run directory that is thrown away, which never happens here.
NEVER = {"train.overwrite_output_dir"}


def other_value(each: Parameter) -> object:
    """A value that is not the default."""
    if each.key in SPECIAL:
        return SPECIAL[each.key]
    match each.kind:
        case "bool":
            return not each.default
        case "choice":
            known = [choice for choice in each.choices if choice != str(each.default)]
            return int(known[0]) if known[0].isdigit() else known[0]
        case "int":
            low = 1 if each.minimum is None else int(each.minimum) + 1
            return low if low != each.default else low + 1
        case "float":
            high = 1.0 if each.maximum is None else float(each.maximum)
            return high * 0.25 if high * 0.25 != each.default else high * 0.125
        case "list":
            return [0.25, 0.75] if each.item_type == "number" else ["first", "second"]
        case "any":
            return {"inner": {"a": 1, "b": [1.5, "x"]}}
    return "some/text"


def test_whatever_they_have_too_goes_there_and_back(tmp_path: Path) -> None:
    wrong = {}
    asked = [each for each in parameters() if each.name in KNOWN_THERE.get(each.table, ()) and each.key not in NEVER]
    assert len(asked) > 270
    for each in asked:
        values: dict[str, object] = {**SAYABLE, each.key: other_value(each)}
        if each.table == "oft":
            values["method.finetuning_type"] = "oft"
        if each.table == "evaluation":
            values["evaluation.task"] = "mmlu_test"
        if each.key == "train.do_train":
            values["train.do_eval"] = True
        if each.key == "train.eval_steps":
            values["train.eval_strategy"] = "steps"
        before = Recipe().with_values(values)
        exported = llamafactory_text(resolve(before, CPU), "x")
        unsaid = [finding.text for finding in exported.findings if finding.id.startswith("export_cannot")]
        after = load_preset(write(tmp_path, exported.text)).recipe
        if unsaid or resolve(after, CPU).recipe != resolve(before, CPU).recipe:
            wrong[each.key] = (before.value(each.key), after.value(each.key), unsaid)
    assert wrong == {}


def test_what_they_cannot_say_is_named(tmp_path: Path) -> None:
    values = {"train.sample_prompts": ["Hi"], "data.on_bad_row": "stop", "data.dataset": ["rows.jsonl", "hf://a/b"]}
    exported = llamafactory_text(resolve(Recipe().with_values(values), CPU), "x")
    assert [finding.text for finding in exported.findings if finding.id != "export_chosen"] == [
        "on_bad_row = stop cannot be said to LLaMA-Factory, which always works with skip",
        "sample_prompts = Hi cannot be said to LLaMA-Factory: it has no such setting",
        "dataset rows.jsonl is a file: LLaMA-Factory needs an entry for it in dataset_info.json (`trimtab data "
        "register` writes one)",
        "dataset hf://a/b is a hub name: LLaMA-Factory needs an entry for it in dataset_info.json, or dataset_dir: "
        "ONLINE",
    ]


def test_what_is_written_is_plain_yaml_in_their_words(tmp_path: Path) -> None:
    values = {
        "train.learning_rate": 1e-5,
        "lora.lora_target": ["q_proj", "v_proj"],
        "train.gradient_checkpointing": False,
        "model.model_name_or_path": "shipped:demo_model",
        "trainer.label_smoothing_factor": 0.1,
    }
    written = yaml.safe_load(llamafactory_text(resolve(Recipe().with_values(values), CPU), "x").text)
    assert written["learning_rate"] == 1e-5
    assert written["lora_target"] == "q_proj,v_proj"
    assert written["disable_gradient_checkpointing"] is True
    assert written["label_smoothing_factor"] == 0.1
    assert Path(written["model_name_or_path"]).is_dir()
