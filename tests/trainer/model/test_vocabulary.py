"""New tokens: their rows are trained, saved and found again, with every method, by every one who loads a checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny import make_tiny_model
from tests.training_runs import TrainingRuns, events_of, weights_of
from trainer.chat.loading import load_for_chat
from trainer.config import Hardware, Recipe, resolve
from trainer.data import prepare
from trainer.errors import UserError
from trainer.model.memory import estimate_memory
from trainer.model.prepare import prepare_model
from trainer.model.vocabulary import grow_vocabulary
from trainer.run import RunDirectory
from trainer.run.messages import Words, silent

ROWS = 259
"""Of the tiny model; the first new token gets this id."""
TOKENS = {"add_tokens": ["<sum>"], "add_special_tokens": ["<|call|>"]}
CPU = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)


def untied(folder: Path) -> Path:
    """The tiny llama with an output layer of its own."""
    return make_tiny_model(folder, architecture="llama", tied=False)


def roomy(folder: Path, tiny_model: Path, rows: int = ROWS + 40) -> Path:
    """The tiny model with rows to spare, as Qwen's have."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.resize_token_embeddings(rows, mean_resizing=False)
    model.save_pretrained(shutil.copytree(tiny_model, folder))
    return folder


@pytest.fixture(params=["tied", "untied"])
def model(request: pytest.FixtureRequest, tiny_model: Path, tmp_path: Path) -> Path:
    """A model whose output layer is its embeddings, and one where it is not."""
    return tiny_model if request.param == "tied" else untied(tmp_path / "untied")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows that use the new tokens."""
    rows = [{"instruction": f"<sum>{i}", "output": f"<|call|>It is {2 * i}<sum>."} for i in range(24)]
    file = tmp_path / "new.json"
    file.write_text(json.dumps(rows))
    return file


def checkpoint(run: RunDirectory, step: int) -> Path:
    return run.checkpoints_folder / f"step-{step:08d}"


def told(run: RunDirectory) -> list[str]:
    return [event.text for event in events_of(run, "finding")]


def loss_of(model: Any, run: RunDirectory) -> float:
    """The mean loss over the labelled tokens of the run's evaluation rows."""
    rows = prepare(run.recipe()).evaluation
    assert rows is not None
    total, count = 0.0, 0
    for row in rows:
        labels = torch.tensor(row.labels[1:])
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.input_ids])).logits[0, :-1]
        total += float(torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum"))
        count += int((labels != -100).sum())
    return total / count


def recipe(model: Path, **values: object) -> Recipe:
    changes = {"model.model_name_or_path": str(model), "data.dataset": ["none"]}
    changes |= {name.replace("__", "."): value for name, value in values.items()}  # type: ignore[misc]
    return resolve(Recipe().with_values(changes), CPU).recipe


def grown(settings: Recipe) -> tuple[Any, list[Words]]:
    """The model with its new rows, and what was told of them."""
    model = AutoModelForCausalLM.from_pretrained(settings.model.model_name_or_path)
    said: list[Words] = []
    grow_vocabulary(model, settings, lambda _, words: said.append(words))
    return model, said


def test_lora_saves_the_new_rows_alone_and_they_load_everywhere(runs: TrainingRuns, model: Path, data: Path) -> None:
    """That they are trained, resumed and merged: see tests/methods."""
    run = runs.create(
        "rows",
        model={"model_name_or_path": str(model), **TOKENS},
        data={"dataset": [str(data)], "eval_dataset": [str(data)]},
        train={"max_steps": 3, "eval_strategy": "steps", "eval_steps": 3},
    )
    assert run.recipe().model.resize_vocab
    assert runs.train(run) == 0, run.log_file.read_text()[-3000:]
    assert "new tokens: 2 (<sum>, <|call|>). The embeddings grow from 259 to 261 rows" in told(run)
    assert "of the embeddings, 2 new rows are trained, and saved with the adapter" in told(run)
    rows = {name: tensor for name, tensor in weights_of(run, 3).items() if "lora_" not in name}
    assert {tuple(tensor.shape) for tensor in rows.values()} == {(2, 32)}
    assert len(rows) == (1 if "tiny" in str(model) else 2)

    loaded = load_for_chat(str(checkpoint(run, 3)))
    by_run = events_of(run, "evaluation")[-1].values["eval_loss"]
    assert loss_of(loaded.model, run) == pytest.approx(by_run, abs=1e-5)
    ids = torch.tensor([[5, ROWS, 7, ROWS + 1]])
    assert loaded.tokenizer.decode(ids[0][[1, 3]]) == "<sum><|call|>"
    # PEFT alone, with rows that start from something else.
    base = AutoModelForCausalLM.from_pretrained(model)
    base.resize_token_embeddings(len(loaded.tokenizer))
    plain = PeftModel.from_pretrained(base, str(checkpoint(run, 3))).eval()
    with torch.no_grad():
        expected = loaded.model(input_ids=ids).logits
        assert torch.equal(plain(input_ids=ids).logits, expected)
        with loaded.untuned()[1]:
            assert loaded.model(input_ids=ids).logits.shape == expected.shape


@pytest.mark.parametrize("method", ["full", "freeze"])
def test_full_and_freeze_save_the_grown_matrix(runs: TrainingRuns, model: Path, data: Path, method: str) -> None:
    run = runs.create(
        method,
        model={"model_name_or_path": str(model), **TOKENS},
        data={"dataset": [str(data)], "eval_dataset": [str(data)]},
        method={"finetuning_type": method},
        freeze={"freeze_trainable_layers": 1},
        train={"max_steps": 2, "eval_strategy": "steps", "eval_steps": 2},
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-3000:]
    assert "the embeddings are trained as a whole, with 2 new rows" in told(run)
    start, after = grown(run.recipe())[0].state_dict(), weights_of(run, 2)
    matrices = {name for name in after if "embed_tokens" in name or "lm_head" in name}
    assert all(after[name].shape == (ROWS + 2, 32) for name in matrices)
    assert all(bool((after[name] != start[name])[ROWS:].any(1).all()) for name in matrices)
    changed = {name for name in after if not torch.equal(after[name], start[name])}
    if method == "freeze":
        assert not any("layers.0" in name for name in changed)
    loaded = load_for_chat(str(checkpoint(run, 2)))
    by_run = events_of(run, "evaluation")[-1].values["eval_loss"]
    assert loss_of(loaded.model, run) == pytest.approx(by_run, abs=1e-5)
    untuned, _ = loaded.untuned()
    assert untuned(input_ids=torch.tensor([[ROWS + 1]])).logits.shape == (1, 1, ROWS + 2)


def test_rows_to_spare_are_taken_and_the_matrix_keeps_its_size(tiny_model: Path, tmp_path: Path) -> None:
    folder = roomy(tmp_path / "roomy", tiny_model)
    settings = recipe(folder, model__add_tokens=["<a>", "<b>"])
    model, said = grown(settings)
    assert model.get_input_embeddings().weight.shape[0] == ROWS + 40
    assert "rows that the embeddings had to spare: there are 299" in said[0].text
    before = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    after = model.get_input_embeddings().weight
    changed = (before != after).any(1).nonzero().flatten().tolist()
    assert changed == [ROWS, ROWS + 1]
    trained = {
        name: tuple(parameter.shape)
        for name, parameter in prepare_model(model, settings, silent).named_parameters()
        if parameter.requires_grad and "lora_" not in name
    }
    assert list(trained.values()) == [(2, 32)]
    unneeded, said = grown(recipe(folder, model__resize_vocab=True))
    assert unneeded.get_input_embeddings().weight.shape[0] == ROWS + 40
    assert said == []


def test_tokens_that_are_there_keep_their_rows(tiny_model: Path) -> None:
    model, said = grown(recipe(tiny_model, model__add_special_tokens=["<|im_end|>"], model__add_tokens=["A"]))
    assert [each.text for each in said] == ["in the vocabulary already, with a row of their own: A, <|im_end|>"]
    assert torch.equal(
        model.get_input_embeddings().weight, load_file(tiny_model / "model.safetensors")["model.embed_tokens.weight"]
    )


@pytest.mark.parametrize("way", ["noise_init", "desc_init", "desc_init_w_noise"])
def test_rows_start_as_init_special_tokens_says(model: Path, tmp_path: Path, way: str) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text('"<|code|>": program code\n"<b>": bold\n')
    settings = recipe(
        model,
        model__new_special_tokens_config=str(file),
        model__add_tokens=["<b>"],
        model__init_special_tokens=way,
    )
    tokenizer = AutoTokenizer.from_pretrained(model)
    base = AutoModelForCausalLM.from_pretrained(model)
    after, _ = grown(settings)
    assert torch.equal(after.get_input_embeddings().weight, grown(settings)[0].get_input_embeddings().weight)
    for layer in ("get_input_embeddings", "get_output_embeddings"):
        old, new = getattr(base, layer)().weight.detach(), getattr(after, layer)().weight.detach()
        assert torch.equal(new[:ROWS], old)
        described = old[tokenizer("program code").input_ids].mean(0)
        spread = old.std(0, correction=0)
        away = (new[ROWS + 1] - (old.mean(0) if way == "noise_init" else described)) / spread
        size = {"noise_init": 1.0, "desc_init": 0.0, "desc_init_w_noise": 0.1}[way]
        assert float(away.square().mean().sqrt()) == pytest.approx(size, rel=0.5, abs=1e-5)
        assert float((new[ROWS] - old[tokenizer("bold").input_ids].mean(0)).abs().max()) < (4 if size else 1e-6)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- <a>", "expected tokens with their descriptions"),
        ("<a>: 3", "'<a>' has no description that is text"),
        ("<a>: [", "not valid YAML"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_descriptions_that_is_none_is_refused(
    tiny_model: Path, tmp_path: Path, text: str | None, problem: str
) -> None:
    file = tmp_path / "tokens.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=problem):
        grown(recipe(tiny_model, model__new_special_tokens_config=str(file)))


def test_an_adapter_brings_its_tokens_along_and_gets_no_others(runs: TrainingRuns, data: Path) -> None:
    settings: dict[str, Any] = {"data": {"dataset": [str(data)]}, "train": {"max_steps": 1}}
    first = runs.create("first", model=TOKENS, **settings)
    assert runs.train(first) == 0, first.log_file.read_text()[-3000:]
    adapter = str(checkpoint(first, 1))
    second = runs.create("second", model={"adapter_name_or_path": [adapter]}, **settings)
    assert runs.train(second) == 0, second.log_file.read_text()[-3000:]
    (name,) = [name for name in weights_of(second, 1) if "lora_" not in name]
    assert weights_of(second, 1)[name].shape == (2, 32)
    assert not torch.equal(weights_of(second, 1)[name], weights_of(first, 1)[name])
    rows = prepare(second.recipe()).train
    assert all(ROWS in row.input_ids and ROWS + 1 in row.input_ids for row in rows)
    with pytest.raises(UserError, match="has no rows for new tokens"):
        grown(recipe(runs.model, model__adapter_name_or_path=[adapter], model__add_tokens=["<more>"]))
    other = shutil.copytree(runs.model, data.parent / "other")
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens(["<shift>"])
    tokenizer.save_pretrained(other)
    with pytest.raises(UserError, match="<sum> has the id 260 here, and the adapter was trained with 259"):
        grown(recipe(other, model__adapter_name_or_path=[adapter]))


def test_an_adapter_that_holds_rounded_up_matrices_is_trained_on_and_chatted_with(
    runs: TrainingRuns, tmp_path: Path
) -> None:
    """As LLaMA-Factory writes them: two matrices as a whole, with a multiple of 64 rows."""
    model = untied(tmp_path / "untied")
    base = AutoModelForCausalLM.from_pretrained(model)
    base.resize_token_embeddings(320, mean_resizing=False)
    whole = get_peft_model(
        base, LoraConfig(r=4, target_modules="all-linear", modules_to_save=["embed_tokens", "lm_head"])
    )
    adapter = tmp_path / "rounded"
    whole.save_pretrained(adapter)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens(["<sum>"])
    tokenizer.save_pretrained(adapter)
    ids = torch.tensor([[5, ROWS]])
    with torch.no_grad():
        assert torch.equal(
            load_for_chat(str(model), str(adapter)).model(input_ids=ids).logits, whole.eval()(ids).logits
        )
    run = runs.create(
        "on", model={"model_name_or_path": str(model), "adapter_name_or_path": [str(adapter)]}, train={"max_steps": 1}
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-3000:]
    shapes = {tuple(tensor.shape) for name, tensor in weights_of(run, 1).items() if "lora_" not in name}
    assert shapes == {(320, 32)}
    assert load_for_chat(str(checkpoint(run, 1))).model(input_ids=ids).logits.shape == (1, 2, 320)


def test_chosen_rows_of_the_vocabulary_are_trained(model: Path) -> None:
    settings = recipe(model, lora__trainable_tokens=["<|im_end|>", "65"])
    prepared = prepare_model(AutoModelForCausalLM.from_pretrained(model), settings, silent)
    indices = prepared.peft_config["default"].trainable_token_indices
    assert set(map(tuple, indices.values())) == {(2, 65)}
    assert len(indices) == (1 if "tiny" in str(model) else 2)
    for wrong, problem in (("not one token", "this is not one token but 13"), ("900", "there is no token 900")):
        with pytest.raises(UserError, match=problem):
            prepare_model(
                AutoModelForCausalLM.from_pretrained(model), recipe(model, lora__trainable_tokens=[wrong]), silent
            )


def test_layers_that_are_trained_whole_have_no_single_rows(tmp_path: Path) -> None:
    model = untied(tmp_path / "untied")
    settings = recipe(model, lora__additional_target=["embed_tokens"], model__add_tokens=["<a>"])
    prepared = prepare_model(grown(settings)[0], settings, silent)
    trained = {
        name.replace(".default", ""): tuple(parameter.shape)
        for name, parameter in prepared.named_parameters()
        if parameter.requires_grad and "lora_" not in name
    }
    assert sorted(trained.values()) == [(1, 32), (ROWS + 1, 32)]


def test_a_tokenizer_with_more_ids_than_rows_is_told_of_and_cured(runs: TrainingRuns, data: Path) -> None:
    folder = shutil.copytree(runs.model, data.parent / "short")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<sum>"])
    tokenizer.save_pretrained(folder)
    settings: dict[str, Any] = {"train": {"max_steps": 1}}
    run = runs.create("short", model={"model_name_or_path": str(folder)}, **settings)
    assert runs.train(run) == 0
    assert "the tokenizer has ids up to 260, the embeddings have 259 rows" in " ".join(told(run))
    settings["data"] = {"dataset": [str(data)]}
    run = runs.create("cured", model={"model_name_or_path": str(folder), "resize_vocab": True}, **settings)
    assert runs.train(run) == 0, run.log_file.read_text()[-3000:]
    assert [tensor.shape for name, tensor in weights_of(run, 1).items() if "lora_" not in name] == [(1, 32)]


def test_the_memory_estimate_counts_new_rows(model: Path) -> None:
    plain, more = (
        estimate_memory(recipe(model, model__add_tokens=tokens), is_gpu=False)
        for tokens in ([], [f"<{n}>" for n in range(64)])
    )
    assert more.total > plain.total


@pytest.mark.parametrize(
    ("stage", "preference"), [("rm", {}), ("dpo", {}), ("dpo", {"ref_model": "the model"}), ("kto", {}), ("pt", {})]
)
def test_every_stage_trains_the_new_rows(
    runs: TrainingRuns, tmp_path: Path, stage: str, preference: dict[str, Any]
) -> None:
    rows = [
        {
            "messages": [{"role": "user", "content": f"<sum>{number}"}]
            + ([{"role": "assistant", "content": f"<|call|>{number}"}] if stage == "kto" else []),
            "chosen": {"role": "assistant", "content": f"<|call|>{number}<sum>"},
            "rejected": {"role": "assistant", "content": f"<sum>{number}"},
            "kto_tag": number % 2 == 0,
            "text": f"<sum>{number}<|call|>",
        }
        for number in range(12)
    ]
    wanted = {"pt": ("text",), "kto": ("messages", "kto_tag")}.get(stage, ("messages", "chosen", "rejected"))
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([{name: row[name] for name in wanted} for row in rows]))
    run = runs.create(
        f"{stage}{len(preference)}",
        model=TOKENS,
        data={"dataset": [str(file)]},
        method={"stage": stage},
        preference={name: str(runs.model) for name in preference},
        train={"max_steps": 2},
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-3000:]
    (name,) = [name for name in weights_of(run, 2) if "trainable_tokens" in name]
    start = grown(run.recipe())[0].get_input_embeddings().weight[ROWS:]
    assert bool((weights_of(run, 2)[name] != start).any(1).all())
