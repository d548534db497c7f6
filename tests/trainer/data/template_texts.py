"""What published formats make of one dialogue, written by hand: the system prompt, two questions and two answers."""

BRIEF = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is it?"},
    {"role": "assistant", "content": "A test."},
    {"role": "user", "content": "Sure?"},
    {"role": "assistant", "content": "Yes!"},
]

CHATML = (
    "<|im_start|>system\nBe brief.<|im_end|>\n"
    "<|im_start|>user\nWhat is it?<|im_end|>\n"
    "<|im_start|>assistant\nA test.<|im_end|>\n"
    "<|im_start|>user\nSure?<|im_end|>\n"
    "<|im_start|>assistant\nYes!<|im_end|>\n"
)
LLAMA2 = "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWhat is it? [/INST] A test. </s><s>[INST] Sure? [/INST] Yes! </s>"
THINKING = CHATML.replace("Yes!", "<think>\n\n</think>\n\nYes!")

# The text of the whole dialogue, with <s> and </s> as first and last token.
WHOLE: dict[str, str] = {
    "alpaca": (
        "Be brief.\n\n### Instruction:\nWhat is it?\n\n### Response:\nA test.</s>\n\n"
        "### Instruction:\nSure?\n\n### Response:\nYes!</s>\n\n"
    ),
    "chatml": CHATML,
    "chatml_de": CHATML,
    "deepseek": "<s>Be brief.\n\nUser: What is it?\n\nAssistant: A test.</s>User: Sure?\n\nAssistant: Yes!</s>",
    "deepseek3": "<s>Be brief.<｜User｜>What is it?<｜Assistant｜>A test.</s><｜User｜>Sure?<｜Assistant｜>Yes!</s>",
    "deepseekcoder": (
        "<s>Be brief.### Instruction:\nWhat is it?\n### Response:\nA test.\n<|EOT|>\n"
        "### Instruction:\nSure?\n### Response:\nYes!\n<|EOT|>\n"
    ),
    "deepseekr1": (
        "<s>Be brief.<｜User｜>What is it?<｜Assistant｜>A test.</s>"
        "<｜User｜>Sure?<｜Assistant｜><think>\n\n</think>\n\nYes!</s>"
    ),
    "default": (
        "System: Be brief.</s>\nHuman: What is it?</s>\nAssistant:A test.</s>\nHuman: Sure?</s>\nAssistant:Yes!</s>\n"
    ),
    "empty": "Be brief.What is it?A test.Sure?Yes!",
    "fewshot": "Be brief.What is it?A test.</s>\n\nSure?Yes!</s>\n\n",
    "gemma": (
        "<s><start_of_turn>user\nBe brief.\n\nWhat is it?<end_of_turn>\n<start_of_turn>model\nA test.<end_of_turn>\n"
        "<start_of_turn>user\nSure?<end_of_turn>\n<start_of_turn>model\nYes!<end_of_turn>\n"
    ),
    "gemma4": (
        "<s><|turn>system\n<|think|>Be brief.<turn|>\n<|turn>user\nWhat is it?<turn|>\n<|turn>model\nA test.<turn|>\n"
        "<|turn>user\nSure?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>Yes!<turn|>\n"
    ),
    "llama2": LLAMA2,
    "llama2_zh": LLAMA2,
    "llama3": (
        "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWhat is it?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nA test.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nYes!<|eot_id|>"
    ),
    "llama4": (
        "<s><|header_start|>system<|header_end|>\n\nBe brief.<|eot|>"
        "<|header_start|>user<|header_end|>\n\nWhat is it?<|eot|>"
        "<|header_start|>assistant<|header_end|>\n\nA test.<|eot|>"
        "<|header_start|>user<|header_end|>\n\nSure?<|eot|>"
        "<|header_start|>assistant<|header_end|>\n\nYes!<|eot|>"
    ),
    "ministral": "<s>[INST]Be brief.\n\nWhat is it?[/INST]A test.</s>[INST]Sure?[/INST]Yes!</s>",
    "ministral3": (
        "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]What is it?[/INST]A test.</s>[INST]Sure?[/INST]Yes!</s>"
    ),
    "mistral": "<s>[INST] Be brief.\n\nWhat is it?[/INST] A test.</s>[INST] Sure?[/INST] Yes!</s>",
    "mistral_small": (
        "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]What is it?[/INST]A test.</s>[INST]Sure?[/INST]Yes!</s>"
    ),
    "openchat": (
        "<s>GPT4 Correct System: Be brief.<|end_of_turn|>GPT4 Correct User: What is it?<|end_of_turn|>"
        "GPT4 Correct Assistant: A test.<|end_of_turn|>GPT4 Correct User: Sure?<|end_of_turn|>"
        "GPT4 Correct Assistant: Yes!<|end_of_turn|>"
    ),
    "openchat-3.6": (
        "<s><|start_header_id|>System<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>GPT4 Correct User<|end_header_id|>\n\nWhat is it?<|eot_id|>"
        "<|start_header_id|>GPT4 Correct Assistant<|end_header_id|>\n\nA test.<|eot_id|>"
        "<|start_header_id|>GPT4 Correct User<|end_header_id|>\n\nSure?<|eot_id|>"
        "<|start_header_id|>GPT4 Correct Assistant<|end_header_id|>\n\nYes!<|eot_id|>"
    ),
    "phi": (
        "<|system|>\nBe brief.<|end|>\n<|user|>\nWhat is it?<|end|>\n<|assistant|>\nA test.<|end|>\n"
        "<|user|>\nSure?<|end|>\n<|assistant|>\nYes!<|end|>\n"
    ),
    "phi4": (
        "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>What is it?<|im_end|>"
        "<|im_start|>assistant<|im_sep|>A test.<|im_end|><|im_start|>user<|im_sep|>Sure?<|im_end|>"
        "<|im_start|>assistant<|im_sep|>Yes!<|im_end|>"
    ),
    "phi4_mini": (
        "<|system|>Be brief.<|end|><|user|>What is it?<|end|><|assistant|>A test.<|end|>"
        "<|user|>Sure?<|end|><|assistant|>Yes!<|end|>"
    ),
    "phi_small": (
        "<|endoftext|><|system|>\nBe brief.<|end|>\n<|user|>\nWhat is it?<|end|>\n<|assistant|>\nA test.<|end|>\n"
        "<|user|>\nSure?<|end|>\n<|assistant|>\nYes!<|end|>\n"
    ),
    "qwen": CHATML,
    "qwen3": THINKING,
    "qwen3_5": THINKING,
    "qwen3_5_nothink": CHATML,
    "qwen3_nothink": CHATML,
    "solar": (
        "### System:\nBe brief.\n\n### User:\nWhat is it?\n\n### Assistant:\nA test.</s>"
        "### User:\nSure?\n\n### Assistant:\nYes!</s>"
    ),
    "starchat": (
        "<|system|>\nBe brief.<|end|>\n<|user|>\nWhat is it?<|end|>\n<|assistant|>\nA test.<|end|>\n"
        "<|user|>\nSure?<|end|>\n<|assistant|>\nYes!<|end|>\n"
    ),
    "vicuna": "Be brief. USER: What is it? ASSISTANT: A test.</s>USER: Sure? ASSISTANT: Yes!</s>",
    "zephyr": (
        "<|system|>\nBe brief.</s>\n<|user|>\nWhat is it?</s>\n<|assistant|>\nA test.</s>\n"
        "<|user|>\nSure?</s>\n<|assistant|>\nYes!</s>\n"
    ),
}

# One question without a system prompt, and where the model begins to answer.
ASKED: dict[str, str] = {
    "alpaca": (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nSure?\n\n### Response:\n"
    ),
    "chatml": "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
    "chatml_de": (
        "<|im_start|>system\nDu bist ein freundlicher und hilfsbereiter KI-Assistent.<|im_end|>\n"
        "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
    ),
    "deepseek": "<s>User: Sure?\n\nAssistant:",
    "deepseek3": "<s><｜User｜>Sure?<｜Assistant｜>",
    "deepseekcoder": (
        "<s>You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, "
        "and you only answer questions related to computer science. For politically sensitive questions, security and "
        "privacy issues, and other non-computer science questions, you will refuse to answer\n"
        "### Instruction:\nSure?\n### Response:"
    ),
    "deepseekr1": "<s><｜User｜>Sure?<｜Assistant｜><think>\n",
    "default": "Human: Sure?</s>\nAssistant:",
    "empty": "Sure?",
    "fewshot": "Sure?",
    "gemma": "<s><start_of_turn>user\nSure?<end_of_turn>\n<start_of_turn>model\n",
    "gemma4": "<s><|turn>system\n<|think|><turn|>\n<|turn>user\nSure?<turn|>\n<|turn>model\n",
    "llama2": "<s>[INST] Sure? [/INST]",
    "llama2_zh": (
        "<s>[INST] <<SYS>>\nYou are a helpful assistant. 你是一个乐于助人的助手。\n<</SYS>>\n\nSure? [/INST]"
    ),
    "llama3": (
        "<s><|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "llama4": "<s><|header_start|>user<|header_end|>\n\nSure?<|eot|><|header_start|>assistant<|header_end|>\n\n",
    "ministral": "<s>[INST]Sure?[/INST]",
    "ministral3": "<s>[INST]Sure?[/INST]",
    "mistral": "<s>[INST] Sure?[/INST]",
    "mistral_small": "<s>[INST]Sure?[/INST]",
    "openchat": "<s>GPT4 Correct User: Sure?<|end_of_turn|>GPT4 Correct Assistant:",
    "openchat-3.6": (
        "<s><|start_header_id|>GPT4 Correct User<|end_header_id|>\n\nSure?<|eot_id|>"
        "<|start_header_id|>GPT4 Correct Assistant<|end_header_id|>\n\n"
    ),
    "phi": "<|user|>\nSure?<|end|>\n<|assistant|>\n",
    "phi4": "<|im_start|>user<|im_sep|>Sure?<|im_end|><|im_start|>assistant<|im_sep|>",
    "phi4_mini": "<|user|>Sure?<|end|><|assistant|>",
    "phi_small": "<|endoftext|><|user|>\nSure?<|end|>\n<|assistant|>\n",
    "qwen": (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
    ),
    "qwen3": "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
    "qwen3_5": "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n<think>\n",
    "qwen3_5_nothink": "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
    "qwen3_nothink": "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
    "solar": "### User:\nSure?\n\n### Assistant:\n",
    "starchat": "<|system|>\n<|end|>\n<|user|>\nSure?<|end|>\n<|assistant|>",
    "vicuna": (
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the user's questions. USER: Sure? ASSISTANT:"
    ),
    "zephyr": "<|user|>\nSure?</s>\n<|assistant|>\n",
}

# What the mode without thoughts puts behind the question instead.
ASKED_WITHOUT_THOUGHTS: dict[str, str] = {
    "deepseekr1": "<s><｜User｜>Sure?<｜Assistant｜><think>\n\n</think>\n\n",
    "gemma4": "<s><|turn>user\nSure?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>",
    "qwen3": "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "qwen3_5": "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
}
