"""A tiny chat model, tokenizer and data set, made on the spot: what the training tests run on. No network, no files."""

from __future__ import annotations

import json
from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


ARCHITECTURES = {
    "llama": "LlamaConfig",
    "qwen2": "Qwen2Config",
    "qwen3": "Qwen3Config",
    "qwen3_moe": "Qwen3MoeConfig",
    "gemma2": "Gemma2Config",
    "gemma3": "Gemma3TextConfig",
    "mistral": "MistralConfig",
    "phi3": "Phi3Config",
}
"""The configuration class of each architecture that `make_tiny_model` can make."""

_OWN_SETTINGS: dict[str, dict[str, int]] = {
    "gemma3": {"sliding_window": 64},
    "qwen3_moe": {
        "moe_intermediate_size": 16,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "decoder_sparse_step": 1,
    },
}


def make_tiny_model(folder: Path, *, architecture: str = "qwen3", layers: int = 2, tied: bool = True) -> Path:
    """Write a random model of about 27,000 parameters with a byte-level tokenizer; returns the folder.

    `tied`: the output layer is the embedding. The same arguments give the same weights.
    """
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {piece: index for index, piece in enumerate([*special, *alphabet])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(special)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=CHAT_TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = getattr(transformers, ARCHITECTURES[architecture])(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        **_OWN_SETTINGS.get(architecture, {}),
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def make_tiny_data(file: Path, rows: int = 48) -> Path:
    """Write alpaca rows with sums, in English and Chinese; returns the file."""
    examples = [
        {
            "instruction": f"What is {i} plus {i + 1}?" if i % 3 else f"{i} 加 {i + 1} 是多少？",
            "output": f"It is {2 * i + 1}.",
        }
        for i in range(rows)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(examples, ensure_ascii=False), encoding="utf-8")
    return file
