"""Our tokenizer and renderer against transformers: the same text, the same ids, the same mask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data import chat_templates
from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.config import Recipe
from trainer.data import EncodedExample, find_model_folder, list_datasets, load_tokenizer, prepare
from trainer.errors import UserError
from trainer.paths import shipped_folder

TEXTS = [
    "Hello! How are you?",
    "  two spaces, a tab\t and\n\na paragraph  ",
    "你好，北京。🦫 é é ﬁ",
    "<|im_start|>user\nHi<|im_end|>\n<s></s><pad><|assistant|>",
    "",
    "\u200b\ufeff\x00 end",
]
DIALOGUES: list[list[dict[str, Any]]] = [
    dialogue("What?", " A test. ")["messages"],
    dialogue("你好", "我很好。", "<b>&'\"", "\n\nYes\n", system="Be brief.")["messages"],
]


def of_transformers(folder: Path) -> Any:
    """The tokenizer as transformers loads it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))


def test_ids_and_special_tokens_are_those_of_transformers(make_model: MakeModel) -> None:
    folder = make_model()
    ours, theirs = load_tokenizer(folder), of_transformers(folder)
    assert [encoding.ids for encoding in ours.encode_batch(TEXTS)] == [
        theirs(text, add_special_tokens=False)["input_ids"] for text in TEXTS
    ]
    assert [ours.encode(text) for text in TEXTS] == [encoding.ids for encoding in ours.encode_batch(TEXTS)]
    assert (ours.eos_token_id, ours.pad_token_id) == (theirs.eos_token_id, theirs.pad_token_id)
    assert ours.special_tokens == theirs.special_tokens_map
    assert len(ours) == len(theirs)
    ids = ours.encode(TEXTS[2])
    assert ours.decode(ids) == theirs.decode(ids) == TEXTS[2]


def test_tokens_that_only_the_config_adds(make_model: MakeModel) -> None:
    added = {"content": "<tool>", "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    number = len(load_tokenizer(make_model(name="plain")))
    folder = make_model(added_tokens_decoder={str(number): {**added, "single_word": False}})
    text = "a<tool>b"
    assert load_tokenizer(folder).encode(text) == of_transformers(folder)(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    "name", ["CHATML", "CHATML_MARKED", "LLAMA2", "TRIMMING", "THINKING", "OPENED_THOUGHT", "CLOSED_TWICE"]
)
def test_rendering_is_that_of_transformers(make_model: MakeModel, name: str) -> None:
    folder = make_model(getattr(chat_templates, name))
    ours, theirs = load_tokenizer(folder).template, of_transformers(folder)
    assert ours is not None
    for messages in DIALOGUES:
        for asked in (messages, messages[:-1]):
            prompt = asked is not messages
            expected = theirs.apply_chat_template(asked, tokenize=False, add_generation_prompt=prompt)
            assert ours.render(asked, add_generation_prompt=prompt) == expected


def test_template_language_is_that_of_transformers(make_model: MakeModel) -> None:
    template = (
        "{% for message in messages %}\n    {% if loop.index > 3 %}{% break %}{% endif %}\n  {{ message | tojson }}\n"
        "{% endfor %}{{ tools | tojson(indent=2) }}{{ dict(a=1) }}{{ strftime_now('%Y') }}{{ bos_token }}{{ missing }}"
        "{{ messages[0].items() | list | length }}{{ messages[0].content.title() }}{{ documents is none }}"
    )
    folder = make_model(template)
    tools = [{"type": "function", "function": {"name": "look", "description": "<看>", "parameters": {}}}]
    ours = load_tokenizer(folder).template
    assert ours is not None
    expected = of_transformers(folder).apply_chat_template(DIALOGUES[1], tools=tools, tokenize=False)
    assert ours.render(DIALOGUES[1], tools=tools) == expected


def test_labels_are_the_mask_of_marked_templates(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    folder = make_model(chat_templates.CHATML_MARKED)
    theirs = of_transformers(folder)
    # No answer that begins with a space: transformers loses the whole answer where the tokenizer trims offsets.
    dialogues = [dialogue("What?", "A test. ")["messages"], DIALOGUES[1]]
    examples = prepare(make_recipe(folder, [{"messages": messages} for messages in dialogues])).train
    for example, messages in zip(examples, dialogues, strict=True):
        assert_same_as_transformers(example, theirs, messages)


def assert_same_as_transformers(example: EncodedExample, theirs: Any, messages: list[dict[str, Any]]) -> None:
    """The ids and the mask of a marked template, as transformers makes them."""
    encoded = theirs.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    assert example.input_ids == encoded["input_ids"]
    assert [label != -100 for label in example.labels] == [mask == 1 for mask in encoded["assistant_masks"]]


def test_shipped_data_with_the_demo_model_gives_the_mask_of_transformers() -> None:
    other_stages = ("preference", "kto", "text", "prompts")
    names = [name for name in list_datasets(shipped_folder("data")) if not any(word in name for word in other_stages)]
    recipe = Recipe().with_values({"model.model_name_or_path": "shipped:demo_model", "data.dataset": names})
    prepared = prepare(recipe)
    theirs = of_transformers(find_model_folder("shipped:demo_model"))
    assert prepared.report.rows_bad == prepared.report.truncated == prepared.report.endless == 0
    assert len(prepared.train) == prepared.report.rows_read
    for example in prepared.train:
        if not example.source.file.endswith("messages_sample.jsonl"):
            continue
        line = Path(example.source.file).read_text(encoding="utf-8").splitlines()[example.source.line - 1]
        assert_same_as_transformers(example, theirs, json.loads(line)["messages"])


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ({"tokenizer.json": None}, "the model folder has no tokenizer.json"),
        ({"tokenizer.json": None, "tokenizer.model": "x"}, "It has a slow tokenizer only"),
        ({"tokenizer.json": "{"}, "the tokenizer cannot be read"),
        ({"tokenizer_config.json": "{"}, "not valid JSON"),
        ({"chat_template.jinja": "\n{% for %}"}, "chat_template.jinja:2: the chat template is not valid jinja"),
    ],
)
def test_damaged_model_folders(make_model: MakeModel, broken: dict[str, str | None], text: str) -> None:
    folder = make_model()
    for name, content in broken.items():
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        load_tokenizer(folder)
    assert text in str(refused.value)


def test_models_in_the_hub_cache(make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    base = tmp_path / "hub" / "models--someone--tiny"
    (base / "refs").mkdir(parents=True)
    (base / "snapshots").mkdir()
    (base / "refs" / "main").write_text("abc123")
    make_model().rename(base / "snapshots" / "abc123")
    assert find_model_folder("someone/tiny") == base / "snapshots" / "abc123"
    with pytest.raises(UserError, match="neither a folder nor a model in the Hugging Face cache"):
        find_model_folder("someone/other")


def test_the_sandbox_holds(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    template = "{{ messages.__class__.__mro__ }}" + chat_templates.CHATML
    with pytest.raises(UserError, match="the chat template refuses it"):
        prepare(make_recipe(make_model(template), [dialogue("A", "B")]))


def test_a_named_template_takes_the_place_of_the_models(make_model: MakeModel) -> None:
    folder = make_model()
    tokenizer = load_tokenizer(folder, "vicuna")
    assert tokenizer.template is not None
    assert tokenizer.template.render(DIALOGUES[0]).endswith("USER: What? ASSISTANT:  A test. </s>")
    assert tokenizer.missing_stop_words == ()
    assert load_tokenizer(make_model(None, name="base")).template is None
    assert load_tokenizer(folder.parent / "base", "chatml").template is not None


def test_what_ends_an_answer_counts_as_special_and_is_missed_where_it_is_no_token(make_model: MakeModel) -> None:
    folder = make_model()
    assert load_tokenizer(folder, "chatml").missing_stop_words == ()
    tokenizer = load_tokenizer(folder, "llama3")
    assert tokenizer.missing_stop_words == ("<|eot_id|>",)
    assert "<|eot_id|>" in tokenizer.all_special
    assert "<|eot_id|>" not in load_tokenizer(folder).all_special


def test_a_tool_format_acts_with_a_named_template_only(make_model: MakeModel) -> None:
    folder = make_model()
    named = load_tokenizer(folder, "chatml", "glm4").template
    assert named is not None
    assert "可用工具" in named.text
    own = load_tokenizer(folder, None, "glm4").template
    assert own is not None
    assert own.text == chat_templates.CHATML
    with pytest.raises(UserError, match=r"template = 'chatlm': there is no chat template of this name. Did you mean"):
        load_tokenizer(folder, "chatlm")


def test_half_a_character_is_shown_by_its_bytes() -> None:
    tokenizer = load_tokenizer(find_model_folder("shipped:demo_model"))
    shown = [tokenizer.token(identifier) for identifier in tokenizer.encode("谁🦫")]
    assert shown == ["谁", "<F0>", "<9F>", "<A6>", "<AB>"]
    assert b"".join(bytes.fromhex(token.strip("<>")) for token in shown[1:]).decode() == "🦫"
