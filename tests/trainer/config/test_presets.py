"""Presets: building upon each other, overrides, saving with comments kept, and one-line messages for every mistake."""

from pathlib import Path

import pytest

from trainer.config import (
    Change,
    Hardware,
    PresetInfo,
    Recipe,
    check,
    delete_preset,
    list_presets,
    load_preset,
    resolve,
    save_preset,
)
from trainer.config.pipeline import chained, read_pipeline
from trainer.errors import UserError
from trainer.paths import user_presets_folder

MACHINES = (
    Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2),
    Hardware(cuda=True, bf16=True, gpu_count=1, cpu_cores=8),
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Presets of the user lie in the test's own folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    user_presets_folder().mkdir(parents=True)
    return tmp_path


def write(name: str, text: str) -> Path:
    """A preset of the user."""
    path = user_presets_folder() / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def message(name: str | Path, *overrides: str) -> str:
    """What the user reads when a preset cannot be loaded."""
    with pytest.raises(UserError) as caught:
        load_preset(name, overrides)
    return str(caught.value).replace(f"{user_presets_folder()}/", "")


def shipped() -> list[str]:
    return [each.name for each in list_presets() if each.shipped]


def test_shipped_presets_load_are_described_and_checked_clean() -> None:
    assert set(shipped()) >= {"base", "demo", "sft-lora", "sft-full", "sft-freeze"}
    for each in list_presets():
        assert each.error is None
        assert each.description
        if each.name == "base":
            continue
        for recipe in recipes_of(each):
            for machine in MACHINES:
                assert check(recipe, machine) == []
                assert check(resolve(recipe, machine).recipe, machine) == []


def recipes_of(info: PresetInfo) -> list[Recipe]:
    """Of a pipeline those of its parts, as they are before the first one has begun."""
    if not info.parts:
        return [load_preset(info.name).recipe]
    parts = read_pipeline(info.path)
    return [chained(parts, number, {}) for number in range(len(parts))]


def test_shipped_presets_begin_with_a_comment_that_says_what_they_are_for() -> None:
    for each in list_presets():
        assert each.path.read_text(encoding="utf-8").startswith("# ")


def test_demo_builds_upon_base() -> None:
    demo = load_preset("demo")
    assert demo.extends == ("base",)
    assert demo.recipe.train.save_total_limit == load_preset("base").recipe.train.save_total_limit
    assert demo.recipe.data.dataset == ["identity", "demo_replay"]


def test_the_nearest_preset_of_a_chain_wins_and_overrides_win_over_all() -> None:
    write("low", "[lora]\nlora_rank = 4\nlora_dropout = 0.1\n[train]\nseed = 1")
    write("middle", 'extends = "low"\n[lora]\nlora_rank = 16')
    write("top", 'extends = "middle"\n[train]\nseed = 2')
    preset = load_preset("top", ["lora_dropout=0.2", "train.max_steps=7"])
    assert preset.extends == ("middle", "low")
    assert preset.values == {"lora": {"lora_rank": 16, "lora_dropout": 0.2}, "train": {"seed": 2, "max_steps": 7}}


def test_what_a_lower_preset_sets_can_be_taken_back() -> None:
    write("low", "[data]\nmax_samples = 5\n[train]\nsave_total_limit = 3")
    write("top", 'extends = "low"\n[data]\nmax_samples = "unset"')
    assert load_preset("top").recipe.data.max_samples is None
    assert load_preset("top", ["save_total_limit=none"]).recipe.train.save_total_limit is None


def test_extends_takes_paths_beside_the_file(own_home: Path) -> None:
    (own_home / "a.toml").write_text("[lora]\nlora_rank = 4")
    (own_home / "b.toml").write_text('extends = "a.toml"')
    assert load_preset(own_home / "b.toml").recipe.lora.lora_rank == 4


def test_a_preset_of_the_user_hides_a_shipped_one_and_may_build_upon_it() -> None:
    write("demo", 'extends = "demo"\n[lora]\nlora_rank = 4')
    preset = load_preset("demo")
    assert preset.recipe.lora.lora_rank == 4
    assert preset.recipe.model.model_name_or_path == "shipped:demo_model"
    assert [each.shipped for each in list_presets() if each.name == "demo"] == [False]


def test_changes_are_listed_against_another_preset_and_against_the_defaults() -> None:
    changed = load_preset("demo", ["lora_rank=16", "trainer.torch_empty_cache_steps=4"])
    assert changed.changed_from(load_preset("demo")) == (
        Change("lora.lora_rank", 8, 16),
        Change("trainer.torch_empty_cache_steps", None, 4),
    )
    write("empty", "")
    assert load_preset("empty").changed_from(None) == ()


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("lora_rank=16", "lora.lora_rank", 16),
        ("lora.lora_rank = 16", "lora.lora_rank", 16),
        ("learning_rate=2e-4", "train.learning_rate", 2e-4),
        ("run_name=1e5", "train.run_name", "1e5"),
        ("run_name=my run", "train.run_name", "my run"),
        ("dataset=a,b", "data.dataset", ["a", "b"]),
        ("dataset=[a, b]", "data.dataset", ["a", "b"]),
        ("lora_target=[qk]_proj", "lora.lora_target", ["[qk]_proj"]),
        ('dataset=["a", "b"]', "data.dataset", ["a", "b"]),
        ("sample_prompts=Hi, you", "train.sample_prompts", ["Hi, you"]),
        ("interleave_probs=0.3,0.7", "data.interleave_probs", [0.3, 0.7]),
        ("bf16=True", "train.bf16", True),
        ("val_size=100", "data.val_size", 100.0),
        ("enable_thinking=false", "data.enable_thinking", False),
        ("lr_scheduler_kwargs={ min_lr = 1e-5 }", "train.lr_scheduler_kwargs", {"min_lr": 1e-5}),
        ('vllm_config={"dtype": "half"}', "inference.vllm_config", {"dtype": "half"}),
        (
            'deepspeed={"zero_optimization":{"stage":3}}',
            "train.deepspeed",
            {"zero_optimization": {"stage": 3}},
        ),
        ("deepspeed=ds_z3.json", "train.deepspeed", "ds_z3.json"),
        ("resume_from_checkpoint=true", "train.resume_from_checkpoint", "latest"),
        ("trainer.torch_empty_cache_steps=3", "trainer.torch_empty_cache_steps", 3),
        ("target_modules=q_proj", "lora.lora_target", ["q_proj"]),
        ("max_seq_length=99", "data.cutoff_len", 99),
        ("evaluation_strategy=epoch", "train.eval_strategy", "epoch"),
        ("new_special_tokens=<a>", "model.add_special_tokens", ["<a>"]),
        ("use_cache=false", "model.use_kv_cache", False),
        ("neftune_alpha=5", "train.neftune_noise_alpha", 5.0),
        ("quantization_method=bitsandbytes", "quantization.quantization_method", "bnb"),
        ("finetuning_type=qlora", "quantization.quantization_bit", 4),
        ("finetuning_type=qlora", "method.finetuning_type", "lora"),
        (
            "train.include_effective_tokens_per_second=true",
            "method.include_effective_tokens_per_second",
            True,
        ),
    ],
)
def test_overrides_in_all_spellings(override: str, key: str, value: object) -> None:
    assert load_preset("demo", [override]).recipe.value(key) == value


def test_older_spellings_stand_in_files_too() -> None:
    write(
        "old",
        '[method]\nfinetuning_type = "qlora"\n[lora]\ntarget_modules = "q_proj,v_proj"\n'
        '[quantization]\nquantization_method = "bitsandbytes"\n[data]\nmax_seq_length = 77\n'
        '[train]\nevaluation_strategy = "epoch"\nneftune_alpha = 5\n'
        '[model]\nuse_cache = false\nnew_special_tokens = "<a>"',
    )
    recipe = load_preset("old").recipe
    assert (recipe.method.finetuning_type, recipe.quantization.quantization_bit) == ("lora", 4)
    assert recipe.lora.lora_target == ["q_proj", "v_proj"]
    assert (recipe.data.cutoff_len, recipe.train.eval_strategy, recipe.train.neftune_noise_alpha) == (77, "epoch", 5.0)
    assert (recipe.model.use_kv_cache, recipe.model.add_special_tokens) == (False, ["<a>"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[lora]\n\nlora_rnak = 8", "p.toml:3: lora.lora_rnak: unknown parameter. Did you mean 'lora_rank'?"),
        ("[model]\nlora_rank = 8", "p.toml:2: model.lora_rank: unknown parameter. It belongs in [lora]."),
        ("lora_rank = 8", "p.toml:1: lora_rank: stands outside a table. It belongs in [lora]."),
        ("\n[lorra]\na = 1", "p.toml:2: [lorra]: unknown table. Did you mean [lora]?"),
        (
            "[train]\nlearning_rate = fast",
            'p.toml:2: broken TOML, column 17: Invalid value. TOML writes text in quotes: name = "value".',
        ),
        ("[train]\nseed = 1\n[lora", "p.toml:3: broken TOML: Expected ']' at the end of a table declaration"),
        (
            '[train]\nlearning_rate = "1e-4"',
            "p.toml:2: train.learning_rate = '1e-4': expected a number above 0. Write numbers without quotes.",
        ),
        (
            "[train]\nper_device_train_batch_size = 0",
            "p.toml:2: train.per_device_train_batch_size = 0: expected a whole",
        ),
        ("[lora]\nlora_rank = 8.5", "p.toml:2: lora.lora_rank = 8.5: expected a whole number from 1 to 4096"),
        ("[train]\nbf16 = 1", "p.toml:2: train.bf16 = 1: expected true or false"),
        (
            '[method]\nstage = "dop"',
            "p.toml:2: method.stage = 'dop': expected one of pt, sft, rm, ppo, dpo, kto, grpo, rloo. "
            "Did you mean 'dpo'?",
        ),
        ("[data]\ndataset = [1]", "p.toml:2: data.dataset = 1: expected a list of texts"),
        ("[train]\nlearning_rate = nan", "p.toml:2: train.learning_rate = nan: expected a number above 0"),
        ('[model]\nhf_hub_token = "x"', "p.toml:2: model.hf_hub_token: does not belong in a preset."),
        ('[swanlab]\nswanlab_api_key = "x"', "set the environment variable SWANLAB_API_KEY instead"),
        ('[trainer]\nhub_token = "x"', "set the environment variable HF_TOKEN instead"),
        (
            "[trainer]\ntorch_empty_cache_stps = 3",
            "the installed transformers has no training argument 'torch_empty_cache_stps'. "
            "Did you mean 'torch_empty_cache_steps'?",
        ),
        ("[trainer]\nlearning_rate = 1e-4", "p.toml:2: trainer.learning_rate: learning_rate belongs in [train]"),
        (
            '[lora]\nlora_target = "all"\ntarget_modules = "q"',
            "p.toml:3: lora.lora_target: is set twice: target_modules is an older name of it",
        ),
        (
            'extends = "sft-lroa"',
            "p.toml:1: extends = 'sft-lroa': there is no preset 'sft-lroa'. Did you mean 'sft-lora'?",
        ),
        ("extends = 3", "p.toml:1: extends = 3: expected text"),
    ],
)
def test_mistakes_in_a_file_are_one_line_with_the_place_and_the_way_out(text: str, expected: str) -> None:
    write("p", text)
    said = message("p")
    assert expected in said
    assert "\n" not in said


def test_a_wrong_value_in_a_lower_preset_is_named_there() -> None:
    write("low", "[lora]\nlora_rank = 0")
    write("top", 'extends = "low"')
    assert message("top").startswith("low.toml:2: lora.lora_rank = 0")


def test_a_wrong_override_is_not_blamed_on_the_file() -> None:
    assert message("demo", "lora_rank=x") == "lora.lora_rank = 'x': expected a whole number from 1 to 4096"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("lora_rnk=3", "lora_rnk: there is no such parameter. Did you mean 'lora_rank' of [lora]?"),
        ("lora_rank", "lora_rank: an override is written key=value"),
        ("hf_hub_token=x", "hf_hub_token: is not taken on the command line."),
        ("trainer.learning_rate=1", "trainer.learning_rate: learning_rate belongs in [train]"),
        ("trainer.disable_tqdm=false", "disable_tqdm cannot be changed: progress is shown from the events"),
        ("trainer.foo=1", "trainer.foo: the installed transformers has no training argument 'foo'."),
    ],
)
def test_mistakes_in_overrides(override: str, expected: str) -> None:
    said = message("demo", override)
    assert expected in said
    assert "hf_hub_token=x" not in said


def test_presets_in_a_circle_are_refused() -> None:
    write("a", 'extends = "b"')
    write("b", '\nextends = "a"')
    assert message("a") == "b.toml:2: extends: presets build upon each other in a circle: a -> b -> a"


def test_a_missing_preset_gets_its_near_match(own_home: Path) -> None:
    assert message("dmo") == "there is no preset 'dmo'. Did you mean 'demo'?"
    assert "no such preset file. Did you mean 'demo'?" in message(own_home / "dem.toml")


def test_a_broken_preset_stays_in_the_list_with_its_reason() -> None:
    write("broken", "[lora")
    [info] = [each for each in list_presets() if each.name == "broken"]
    assert info.error is not None
    assert "broken.toml:1: broken TOML" in info.error


def test_saved_presets_come_back_as_they_were() -> None:
    values: dict[str, dict[str, object]] = {
        "lora": {"lora_rank": 16, "lora_target": ["q_proj"]},
        "train": {"lr_scheduler_kwargs": {"min_lr": 1e-6}},
    }
    path = save_preset("mine", values, extends="sft-lora", description='with "quotes"')
    preset = load_preset("mine")
    assert preset.path == path.resolve()
    assert (preset.description, preset.extends[0]) == ('with "quotes"', "sft-lora")
    assert preset.recipe.lora.lora_target == ["q_proj"]
    assert preset.recipe.train.lr_scheduler_kwargs == {"min_lr": 1e-6}


def test_a_whole_recipe_survives_saving() -> None:
    recipe = resolve(load_preset("demo").recipe, MACHINES[0]).recipe
    save_preset("whole", recipe.tables())
    assert load_preset("whole").recipe == recipe


def test_saving_keeps_comments_and_order_of_an_existing_file() -> None:
    write(
        "mine",
        '# my notes\nextends = "base" # shared\n\n[train]\nseed = 1 # lucky\nmax_steps = 9\n\n'
        "[lora]\n# small\nlora_rank = 4\n[data]\nmax_samples = 3\n",
    )
    path = save_preset("mine", {"train": {"seed": 2}, "lora": {"lora_rank": 8}}, extends="base", description="hello")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# my notes")
    for kept in ("# shared", "# lucky", "# small"):
        assert kept in text
    assert "max_steps" not in text
    assert "[data]" not in text
    assert text.index("description") < text.index("[train]") < text.index("[lora]")
    assert load_preset("mine").values["train"]["seed"] == 2


def test_none_in_saved_values_takes_back_what_the_preset_below_sets() -> None:
    save_preset("mine", {"train": {"save_total_limit": None}}, extends="base")
    assert load_preset("mine").recipe.train.save_total_limit is None


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", " x"])
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="is no name for a preset"):
        save_preset(name, {})


def test_saving_refuses_wrong_values_and_circles_and_leaves_the_file_alone() -> None:
    path = write("mine", "[lora]\nlora_rank = 4")
    write("upon", 'extends = "mine"')
    with pytest.raises(UserError, match="lora_rank"):
        save_preset("mine", {"lora": {"lora_rank": 0}})
    with pytest.raises(UserError, match="builds upon"):
        save_preset("mine", {}, extends="upon")
    assert path.read_text(encoding="utf-8") == "[lora]\nlora_rank = 4"


def test_deleting_takes_only_presets_of_the_user_that_nothing_builds_upon() -> None:
    write("mine", "")
    write("upon", 'extends = "mine"')
    with pytest.raises(UserError, match="'upon' builds upon 'mine'"):
        delete_preset("mine")
    delete_preset("upon")
    delete_preset("mine")
    with pytest.raises(UserError, match="comes with trimtab and stays"):
        delete_preset("demo")
    with pytest.raises(UserError, match="is no preset of yours"):
        delete_preset("mine")


def test_a_resolved_recipe_file_of_a_run_is_a_preset_too(own_home: Path) -> None:
    folder = own_home / "demo-3"
    folder.mkdir()
    (folder / "recipe.toml").write_text("[lora]\nlora_rank = 4\n")
    preset = load_preset(folder)
    assert (preset.name, preset.recipe) == ("demo-3", Recipe().with_values({"lora.lora_rank": 4}))
