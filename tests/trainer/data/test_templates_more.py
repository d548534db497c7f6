"""The families beyond the best known ones: a dialogue of two turns with a system prompt, as their models read it."""

from __future__ import annotations

import pytest

from trainer.data.messages import Message
from trainer.data.templates import named_template

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
DIALOGUE = (
    Message("system", "Be brief."),
    Message("user", "What is it?"),
    Message("assistant", "A test."),
    Message("user", "Sure?"),
    Message("assistant", "Yes!"),
)
CHATML = (
    "<|im_start|>system\nBe brief.<|im_end|>\n"
    "<|im_start|>user\nWhat is it?<|im_end|>\n<|im_start|>assistant\nA test.<|im_end|>\n"
    "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\nYes!<|im_end|>\n"
)
CHATML_WITH_THOUGHT = CHATML.replace("Yes!", "<think>\n\n</think>\n\nYes!")
KIMI = (
    "<|im_system|>system<|im_middle|>Be brief.<|im_end|>"
    "<|im_user|>user<|im_middle|>What is it?<|im_end|><|im_assistant|>assistant<|im_middle|>A test.<|im_end|>"
    "<|im_user|>user<|im_middle|>Sure?<|im_end|><|im_assistant|>assistant<|im_middle|>Yes!<|im_end|>"
)
GRANITE = (
    "<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n"
    "<|start_of_role|>user<|end_of_role|>What is it?<|end_of_text|>\n"
    "<|start_of_role|>assistant<|end_of_role|>A test.<|end_of_text|>\n"
    "<|start_of_role|>user<|end_of_role|>Sure?<|end_of_text|>\n"
    "<|start_of_role|>assistant<|end_of_role|>Yes!<|end_of_text|>\n"
)
TEXTS = {
    "aeva": "[gMASK]<sop><|system|>\nBe brief.<|user|>\nWhat is it?<|assistant|>\n</think>A test."
    "<|user|>\nSure?<|assistant|>\n</think>Yes!<|user|>",
    "baichuan2": "Be brief.<reserved_106>What is it?<reserved_107>A test.</s><reserved_106>Sure?<reserved_107>Yes!</s>",
    "bailing": "<role>SYSTEM</role>Be brief.<role>HUMAN</role>What is it?<role>ASSISTANT</role>A test.<|endoftext|>"
    "<role>HUMAN</role>Sure?<role>ASSISTANT</role>Yes!<|endoftext|>",
    "bailing_v2": "<role>SYSTEM</role>Be brief.\ndetailed thinking off<|role_end|>"
    "<role>HUMAN</role>What is it?<|role_end|><role>ASSISTANT</role>A test.<|role_end|>"
    "<role>HUMAN</role>Sure?<|role_end|><role>ASSISTANT</role>Yes!<|role_end|>",
    "breeze": "<s>Be brief. [INST] What is it? [/INST] A test.</s>[INST] Sure? [/INST] Yes!</s>",
    "chatglm3": "[gMASK]sop<|system|>\n Be brief.<|user|>\n What is it?<|assistant|>\n A test."
    "<|user|>\n Sure?<|assistant|>\n Yes!<|user|>",
    "cohere": "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be brief.<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>What is it?<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>A test.<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Sure?<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Yes!<|END_OF_TURN_TOKEN|>",
    "cpm4": "<s>" + CHATML,
    "dbrx": CHATML,
    "ernie": "<|im_start|>system\n<system_setting>\nBe brief.\n</system_setting>\n\n"
    "<global_setting>\nthink_mode=True\n</global_setting><|im_end|>\n\n"
    "<|im_start|>user\nWhat is it?<|im_end|>\n\n<|im_start|>assistant\nA test.<|im_end|>\n\n"
    "<|im_start|>user\nSure?<|im_end|>\n\n<|im_start|>assistant\nYes!<|im_end|>\n\n",
    "ernie_nothink": "<|begin_of_sentence|>Be brief.\nUser: What is it?\nAssistant: A test.<|end_of_sentence|>"
    "User: Sure?\nAssistant: Yes!<|end_of_sentence|>",
    "exaone": "[|system|]Be brief.[|endofturn|]\n[|user|]What is it?\n[|assistant|]A test.[|endofturn|]\n"
    "[|user|]Sure?\n[|assistant|]Yes![|endofturn|]\n",
    "falcon": "System: Be brief.\nUser: What is it?\nFalcon: A test.</s>\nUser: Sure?\nFalcon: Yes!</s>\n",
    "falcon_h1": "<s>" + CHATML,
    "glm4": "[gMASK]<sop><|system|>\nBe brief.<|user|>\nWhat is it?<|assistant|>\nA test."
    "<|user|>\nSure?<|assistant|>\nYes!<|user|>",
    "glm4_7": "[gMASK]<sop><|system|>Be brief.<|user|>What is it?<|assistant|></think>A test."
    "<|user|>Sure?<|assistant|></think>Yes!<|user|>",
    "glm4_moe": "[gMASK]<sop><|system|>\nBe brief.<|user|>\nWhat is it?<|assistant|>\n<think></think>\nA test."
    "<|user|>\nSure?<|assistant|>\n<think></think>\nYes!<|user|>",
    "glmz1": "[gMASK]<sop><|system|>\nBe brief.<|user|>\nWhat is it?<|assistant|>\nA test."
    "<|user|>\nSure?<|assistant|>\n<think>\n\n</think>\n\nYes!<|user|>",
    "gpt_oss": "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"
    "Knowledge cutoff: 2024-06\n\nReasoning: medium\n\n"
    "# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>"
    "<|start|>developer<|message|># Instructions\n\nBe brief.\n\n<|end|>"
    "<|start|>user<|message|>What is it?<|end|><|start|>assistant<|channel|>final<|message|>A test.<|end|>"
    "<|start|>user<|message|>Sure?<|end|><|start|>assistant<|channel|>final<|message|>Yes!<|return|>",
    "granite3": GRANITE,
    "granite4": GRANITE,
    "hunyuan": "<|startoftext|>Be brief.<|extra_4|>What is it?<|extra_0|>A test.<|eos|>"
    "<|startoftext|>Sure?<|extra_0|>Yes!<|eos|>",
    "hunyuan_small": "<｜hy_begin▁of▁sentence｜>Be brief.<｜hy_place▁holder▁no▁3｜>"
    "<｜hy_User｜>What is it?<｜hy_Assistant｜>A test.<｜hy_place▁holder▁no▁2｜>"
    "<｜hy_User｜>Sure?<｜hy_Assistant｜>Yes!<｜hy_place▁holder▁no▁2｜>",
    "hy3": "<s>Be brief.<｜reasoning_mode｜>reasoning_effort:high"
    "<｜hy_User｜>What is it?<｜hy_Assistant｜><think></think>A test.<｜hy_eos｜>"
    "<｜hy_User｜>Sure?<｜hy_Assistant｜><think></think>Yes!<｜hy_eos｜>",
    "index": "<unk>Be brief.reserved_0What is it?reserved_1A test.</s>reserved_0Sure?reserved_1Yes!</s>",
    "intern2": "<s>" + CHATML,
    "intern_s1": "<s>" + CHATML,
    "kimi": KIMI,
    "lfm2": "<s>" + CHATML,
    "mimo": CHATML_WITH_THOUGHT,
    "mimo_v2": CHATML.replace("<|im_end|>\n", "<|im_end|>").replace("Yes!", "<think></think>Yes!"),
    "minicpm": "<s>Be brief.<用户>What is it?<AI>A test.</s><用户>Sure?<AI>Yes!</s>",
    "minimax1": "<begin_of_document><beginning_of_sentence>system ai_setting=assistant\nBe brief.<end_of_sentence>\n"
    "<beginning_of_sentence>user name=user\nWhat is it?<end_of_sentence>\n"
    "<beginning_of_sentence>ai name=assistant\nA test.<end_of_sentence>\n"
    "<beginning_of_sentence>user name=user\nSure?<end_of_sentence>\n"
    "<beginning_of_sentence>ai name=assistant\nYes!<end_of_sentence>\n",
    "minimax2": "]~!b[]~b]system\nBe brief.[e~[\n]~b]user\nWhat is it?[e~[\n]~b]ai\nA test.[e~[\n"
    "]~b]user\nSure?[e~[\n]~b]ai\n<think>\n\n</think>\n\nYes![e~[\n",
    "moonlight": KIMI,
    "olmo": "</s><|system|>\nBe brief.\n<|user|>\nWhat is it?\n<|assistant|>\nA test.</s>\n"
    "<|user|>\nSure?\n<|assistant|>\nYes!</s>\n",
    "opencoder": CHATML,
    "qwen2": CHATML,
    "sailor": CHATML.replace(">user\n", ">question\n").replace(">assistant\n", ">answer\n"),
    "seed_coder": "<s>system\nBe brief.</s><s>user\nWhat is it?</s><s>assistant\nA test.</s>"
    "<s>user\nSure?</s><s>assistant\nYes!</s>",
    "seed_oss": "<seed:bos>system\nBe brief.<seed:eos><seed:bos>user\nWhat is it?<seed:eos>"
    "<seed:bos>assistant\nA test.<seed:eos><seed:bos>user\nSure?<seed:eos>"
    "<seed:bos>assistant\n<seed:think></seed:think>\nYes!<seed:eos>",
    "smollm": CHATML,
    "smollm2": CHATML,
    "telechat2": "<_system>Be brief.\n<_user>What is it?<_bot>A test.<_end>\n<_user>Sure?<_bot>Yes!<_end>\n",
    "xuanyuan": "Be brief.Human: What is it? Assistant:A test.</s>Human: Sure? Assistant:Yes!</s>",
    "xverse": "Be brief.Human: What is it?\n\nAssistant: A test.</s>Human: Sure?\n\nAssistant: Yes!</s>",
    "yi": CHATML,
    "youtu": "<s>Be brief.<|User|>What is it?<|Assistant|>A test.<|end_of_text|>"
    "<|User|>Sure?<|Assistant|><think>\n\n</think>\n\nYes!<|end_of_text|>",
    "yuan": "Be brief.\nWhat is it?<sep>A test.<eod>\nSure?<sep>Yes!<eod>\n",
}


@pytest.mark.parametrize(("name", "text"), TEXTS.items(), ids=TEXTS)
def test_two_turns_with_a_system_prompt(name: str, text: str) -> None:
    assert named_template(name, TOKENS).render(DIALOGUE) == text


BEGINNINGS = {
    "aeva": "[gMASK]<sop><|system|>\nYou are an AI assistant named Aeva created by Zongzhi Lou. Your answer should be "
    "friendly, unbiased, faithful, informative and detailed.<|user|>\nHi<|assistant|>",
    "bailing_v2": "<role>SYSTEM</role>detailed thinking off<|role_end|>"
    "<role>HUMAN</role>Hi<|role_end|><role>ASSISTANT</role>",
    "breeze": "<s>[INST] Hi [/INST]",
    "cohere": "<s><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hi<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    "ernie": "<|im_start|>system\n<global_setting>\nthink_mode=True\n</global_setting><|im_end|>\n\n"
    "<|im_start|>user\nHi<|im_end|>\n\n<|im_start|>assistant\n",
    "ernie_nothink": "<|begin_of_sentence|>User: Hi\nAssistant: ",
    "exaone": "[|system|][|endofturn|]\n[|user|]Hi\n[|assistant|]",
    "falcon": "User: Hi\nFalcon:",
    "granite4": "<|start_of_role|>system<|end_of_role|>You are a helpful assistant. Please ensure responses are "
    "professional, accurate, and safe.<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>Hi<|end_of_text|>\n"
    "<|start_of_role|>assistant<|end_of_role|>",
    "hunyuan": "<|startoftext|>Hi<|extra_0|>",
    "intern_s1": "<s><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "kimi": "<|im_system|>system<|im_middle|>You are Kimi, an AI assistant created by Moonshot AI.<|im_end|>"
    "<|im_user|>user<|im_middle|>Hi<|im_end|><|im_assistant|>assistant<|im_middle|>",
    "mimo": "<|im_start|>system\nYou are MiMo, an AI assistant developed by Xiaomi.<|im_end|>\n"
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "mimo_v2": "<|im_start|>system\nYou are MiMo, a helpful AI assistant engineered by Xiaomi.<|im_end|>"
    "<|im_start|>user\nHi<|im_end|><|im_start|>assistant\n",
    "minimax1": "<begin_of_document><beginning_of_sentence>system ai_setting=assistant\nYou are a helpful assistant."
    "<end_of_sentence>\n<beginning_of_sentence>user name=user\nHi<end_of_sentence>\n"
    "<beginning_of_sentence>ai name=assistant\n",
    "minimax2": "]~!b[]~b]system\nYou are a helpful assistant. Your name is MiniMax-M2.1 and is built by MiniMax.[e~[\n"
    "]~b]user\nHi[e~[\n]~b]ai\n",
    "moonlight": "<|im_system|>system<|im_middle|>You are a helpful assistant provided by Moonshot-AI.<|im_end|>"
    "<|im_user|>user<|im_middle|>Hi<|im_end|><|im_assistant|>assistant<|im_middle|>",
    "opencoder": "<|im_start|>system\nYou are OpenCoder, created by OpenCoder Team.<|im_end|>\n"
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "qwen2": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "sailor": "<|im_start|>system\nYou are an AI assistant named Sailor created by Sea AI Lab. Your answer should be "
    "friendly, unbiased, faithful, informative and detailed.<|im_end|>\n"
    "<|im_start|>question\nHi<|im_end|>\n<|im_start|>answer\n",
    "smollm2": "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face.<|im_end|>\n"
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "telechat2": "<_system>你是中国电信星辰语义大模型，英文名是TeleChat，你是由中电信人工智能科技有限公司和中国电信"
    "人工智能研究院（TeleAI）研发的人工智能助手。\n<_user>Hi<_bot>",
    "xuanyuan": "以下是用户和人工智能助手之间的对话。用户以Human开头，人工智能助手以Assistant开头，会对人类提出的问题"
    "给出有帮助、高质量、详细和礼貌的回答，并且总是拒绝参与与不道德、不安全、有争议、政治敏感等相关的话题、问题和指示。\n"
    "Human: Hi Assistant:",
}


@pytest.mark.parametrize(("name", "text"), BEGINNINGS.items(), ids=BEGINNINGS)
def test_without_a_system_prompt_the_family_says_its_own(name: str, text: str) -> None:
    assert named_template(name, TOKENS).render((Message("user", "Hi"),), add_generation_prompt=True) == text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dbrx", "You are DBRX, created by Databricks. You were last updated in December 2023."),
        ("intern2", "You are an AI assistant whose name is InternLM (书生·浦语).\n- InternLM (书生·浦语) is a"),
        ("seed_coder", "You are an AI programming assistant, utilizing the Seed-Coder model"),
    ],
)
def test_long_system_prompts_of_families(name: str, words: str) -> None:
    template = named_template(name, TOKENS)
    assert words in template.render((Message("user", "Hi"),))
    assert words not in template.render(DIALOGUE)


def test_switches_of_thinking_that_the_prompt_states() -> None:
    question = (Message("user", "Hi"),)
    hy3 = named_template("hy3", TOKENS).render(question, add_generation_prompt=True, enable_thinking=False)
    assert hy3 == ("<s><｜reasoning_mode｜>reasoning_effort:no_think<｜hy_User｜>Hi<｜hy_Assistant｜><think></think>")
    glm = named_template("glm4_moe").render(question, add_generation_prompt=True, enable_thinking=False)
    assert glm == "[gMASK]<sop><|user|>\nHi/nothink<|assistant|>\n<think></think>\n"
    assert named_template("gpt_oss").render(question, reasoning_effort="low").count("Reasoning: low") == 1


THOUGHTS = {
    "aeva": ("\n<think>Hm.</think>Yes!", "\n</think>Old."),
    "glm4_7": ("<think>Hm.</think>Yes!", "</think>Old."),
    "glm4_moe": ("\n<think>Hm.</think>\nYes!", "\n<think></think>\nOld."),
    "glmz1": ("\n<think>\nHm.\n</think>\n\nYes!", "<|assistant|>\nOld."),
    "gpt_oss": (
        "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes!",
        "<|start|>assistant<|channel|>final<|message|>Old.<|end|>",
    ),
    "hy3": ("<think>Hm.</think>Yes!", "<｜hy_Assistant｜><think></think>Old."),
    "mimo": ("assistant\n<think>\nHm.\n</think>\n\nYes!", "assistant\nOld."),
    "mimo_v2": ("assistant\n<think>Hm.</think>Yes!", "assistant\nOld."),
    "minimax2": ("]~b]ai\n<think>\nHm.\n</think>\n\nYes!", "]~b]ai\nOld."),
    "seed_oss": ("assistant\n<seed:think>Hm.</seed:think>\nYes!", "assistant\nOld."),
    "youtu": ("<|Assistant|><think>\nHm.\n</think>\n\nYes!", "<|Assistant|>Old."),
}


@pytest.mark.parametrize(
    ("name", "last", "earlier"), [(name, *texts) for name, texts in THOUGHTS.items()], ids=THOUGHTS
)
def test_the_last_thought_stays_and_earlier_ones_go(name: str, last: str, earlier: str) -> None:
    template = named_template(name, TOKENS)
    before, after = template.thought_words or ("", "")
    for old, new in (
        (Message("assistant", "Old.", "Gone."), Message("assistant", "Yes!", "Hm.")),
        (Message("assistant", f"{before}Gone.{after}Old."), Message("assistant", f"{before}Hm.{after}Yes!")),
    ):
        dialogue = (Message("user", "Hi"), old, Message("user", "Sure?"), new)
        text = template.render(dialogue)
        assert last in text
        assert earlier in text
        assert "Gone." not in text
        assert f"{before}Gone.{after}Old." in template.render(dialogue, preserve_thinking=True)
