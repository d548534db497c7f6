"""Older and other spellings of LLaMA-Factory's files, and names that may not stand in a file at all."""

from __future__ import annotations

from collections.abc import Mapping

OLDER_NAMES: Mapping[str, str] = {
    "target_modules": "lora.lora_target",
    "max_seq_length": "data.cutoff_len",
    "train_file": "data.dataset",
    "validation_file": "data.eval_dataset",
    "evaluation_strategy": "train.eval_strategy",
    "new_special_tokens": "model.add_special_tokens",
    "use_cache": "model.use_kv_cache",
    "neftune_alpha": "train.neftune_noise_alpha",
    # transformers has it among the training arguments, LLaMA-Factory among the method's; one of the two is enough.
    "train.include_effective_tokens_per_second": "method.include_effective_tokens_per_second",
}
"""Older name to the dotted key that it means today. A dotted name is older only in that table."""

SECRETS: Mapping[str, str] = {
    "hf_hub_token": "HF_TOKEN",
    "hub_token": "HF_TOKEN",
    "push_to_hub_token": "HF_TOKEN",
    "ms_hub_token": "MODELSCOPE_API_TOKEN",
    "om_hub_token": "OM_TOKEN",
    "swanlab_api_key": "SWANLAB_API_KEY",
    "swanlab_lark_secret": "SWANLAB_LARK_SECRET",
    "swanlab_lark_webhook_url": "SWANLAB_LARK_WEBHOOK_URL",
}
"""Names whose values are secrets, and the environment variable that is read instead."""


def secret_hint(name: str) -> str | None:
    """What to do instead of writing a secret into a file; None when the name is no secret."""
    variable = SECRETS.get(name.rpartition(".")[2])
    if variable is None:
        return None
    return f"Secrets are never written to files: set the environment variable {variable} instead."


def today(key: str) -> str | None:
    """The dotted key that an older name, flat or dotted, means today; None when it is not an older name."""
    return OLDER_NAMES.get(key) or OLDER_NAMES.get(key.rpartition(".")[2])


def translate_values(values: dict[str, dict[str, object]]) -> None:
    """Replace older spellings of values in place: `finetuning_type = "qlora"`, `quantization_method` in full."""
    method = values.get("method", {})
    if method.get("finetuning_type") == "qlora":
        method["finetuning_type"] = "lora"
        values.setdefault("quantization", {}).setdefault("quantization_bit", 4)
    quantization = values.get("quantization", {})
    if quantization.get("quantization_method") == "bitsandbytes":
        quantization["quantization_method"] = "bnb"
