"""The names of LLaMA-Factory's templates: each means a family here, or says why it means none."""

from __future__ import annotations

from itertools import chain

import pytest

from trainer.data.templates import named_template, template_names, template_spec, unmapped_names
from trainer.errors import UserError
from trainer.paths import shipped_folder

LLAMA_FACTORY_NAMES = """
    aeva alpaca bailing bailing_v2 breeze chatglm3 chatml chatml_de cohere cpm4 dbrx deepseek deepseek3 deepseekcoder
    deepseekr1 default dots_ocr empty ernie ernie_nothink ernie_vl exaone falcon falcon_h1 fewshot gemma gemma2 gemma3
    gemma3n gemma4 gemma4n glm4 glm4_5v glm4_7 glm4_moe glm4v glm_ocr glmz1 gpt_oss granite3 granite3_vision granite4
    hunyuan hunyuan_small hy3 hy_dense_1_8b hy_dense_7b index intern2 intern_s1 intern_vl keye_vl kimi_vl lfm2 lfm2_vl
    llama2 llama2_zh llama3 llama4 llava llava_next llava_next_llama3 llava_next_mistral llava_next_qwen
    llava_next_video llava_next_video_mistral llava_next_video_yi llava_next_yi mimo mimo_v2 mimo_vl minicpm_o minicpm_v
    minicpm_v_4_6 minimax1 minimax2 ministral ministral3 mistral mistral_small mllama moonlight moss_vl olmo openchat
    openchat-3.6 opencoder paligemma paligemma_chat phi phi4 phi4_mini phi_small pixtral qwen qwen2_audio qwen2_omni
    qwen2_vl qwen3 qwen3_5 qwen3_5_nothink qwen3_6 qwen3_nothink qwen3_omni qwen3_omni_nothink qwen3_vl
    qwen3_vl_nothink sailor seed_coder seed_oss smollm smollm2 solar starchat telechat2 vicuna video_llava xuanyuan yi
    yi_vl youtu youtu_vl yuan zephyr
"""
LLAMA_FACTORY = LLAMA_FACTORY_NAMES.split()


def test_there_are_as_many_names_as_llama_factory_has() -> None:
    assert len(set(LLAMA_FACTORY)) == len(LLAMA_FACTORY) == 124


@pytest.mark.parametrize("name", LLAMA_FACTORY)
def test_each_name_means_a_family_or_says_why_not(name: str) -> None:
    if name not in unmapped_names():
        named_template(name)
        return
    with pytest.raises(UserError) as caught:
        named_template(name)
    assert unmapped_names()[name] in str(caught.value)


def test_no_name_means_two_things() -> None:
    aliases = list(chain.from_iterable(template_spec(name).aliases for name in template_names()))
    names = [*template_names(), *aliases, *unmapped_names()]
    assert sorted(names) == sorted(set(names))
    assert set(unmapped_names()) <= set(LLAMA_FACTORY)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("glm_ocr", "glm4"),
        ("glm4v", "glmz1"),
        ("hy_dense_1_8b", "hunyuan_small"),
        ("internlm2", "intern2"),
        ("keye_vl", "qwen3"),
        ("llava", "vicuna"),
        ("mllama", "llama3"),
        ("pixtral", "ministral"),
        ("qwen2_vl", "qwen2"),
    ],
)
def test_models_for_images_mean_the_family_of_their_text(name: str, family: str) -> None:
    assert template_spec(name).name == family


def test_every_file_belongs_to_a_family() -> None:
    folder = shipped_folder("data") / "templates"
    files = {template_spec(name).file for name in template_names()}
    assert {path.name for path in folder.glob("*.jinja")} == files


@pytest.mark.parametrize("name", template_names())
def test_what_ends_an_answer_stands_in_the_template(name: str) -> None:
    text = named_template(name).text
    for word in template_spec(name).stop_words:
        assert word in text
