"""Find fields by what people call them: the name, an alias, or words of the help in either language."""

from __future__ import annotations

from trainer.config import Parameter, parameters
from tui.forms.model import FormModel
from tui.forms.sections import Row
from tui.locale import catalogue

ALIASES: dict[str, tuple[str, ...]] = {
    "lr": ("train.learning_rate",),
    "bs": ("train.per_device_train_batch_size", "train.per_device_eval_batch_size"),
    "batch": ("train.per_device_train_batch_size", "train.per_device_eval_batch_size"),
    "batch_size": ("train.per_device_train_batch_size", "train.per_device_eval_batch_size"),
    "ga": ("train.gradient_accumulation_steps",),
    "accum": ("train.gradient_accumulation_steps",),
    "epoch": ("train.num_train_epochs",),
    "epochs": ("train.num_train_epochs",),
    "steps": ("train.max_steps",),
    "wd": ("train.weight_decay",),
    "clip": ("train.max_grad_norm",),
    "scheduler": ("train.lr_scheduler_type",),
    "warmup": ("train.warmup_steps", "train.warmup_ratio"),
    "optimizer": ("train.optim",),
    "gc": ("model.disable_gradient_checkpointing", "train.gradient_checkpointing"),
    "attn": ("model.flash_attn",),
    "attention": ("model.flash_attn",),
    "base": ("model.model_name_or_path",),
    "path": ("model.model_name_or_path",),
    "r": ("lora.lora_rank",),
    "rank": ("lora.lora_rank",),
    "alpha": ("lora.lora_alpha",),
    "dropout": ("lora.lora_dropout",),
    "target_modules": ("lora.lora_target",),
    "dora": ("lora.use_dora",),
    "qlora": ("quantization.quantization_bit",),
    "4bit": ("quantization.quantization_bit",),
    "ctx": ("data.cutoff_len",),
    "context": ("data.cutoff_len",),
    "seq": ("data.cutoff_len",),
    "max_seq_length": ("data.cutoff_len",),
    "system": ("data.default_system",),
    "neftune": ("train.neftune_noise_alpha",),
}
"""What people type for a field that has another name; whole words."""


def search(model: FormModel, typed: str) -> tuple[Row, ...]:
    """The fields that match all words of `typed`, best first, over all sections and tiers."""
    words = typed.lower().split()
    if not words:
        return ()
    scored = []
    for number, one in enumerate(parameters()):
        scores = [_score(one, word) for word in words]
        if all(scores):
            applies = model.applies(one.key)
            scored.append((-sum(scores), not (applies and one.form.available), number, Row(one, applies=applies)))
    return tuple(row for _, _, _, row in sorted(scored, key=lambda item: item[:3]))


def _score(one: Parameter, word: str) -> int:
    """How well one word fits: alias and whole name before parts of the name, those before words of the help."""
    name = one.name.lower()
    if word in (name, one.key.lower()) or one.key in ALIASES.get(word, ()):
        return 100
    parts = name.split("_")
    if word in parts:
        return 70
    if name.startswith(word) or one.key.lower().startswith(word):
        return 60
    if any(part.startswith(word) for part in parts):
        return 50
    if word in one.key.lower():
        return 40
    if len(word) > 2 and "_" not in word and "".join(part[0] for part in parts if part) == word:
        return 35
    if any(word in help_text.lower() for help_text in _helps(one)):
        return 10
    if len(word) > 3 and _in_order(word, name):
        return 5
    return 0


def _helps(one: Parameter) -> tuple[str, str]:
    return one.help, catalogue("zh", "parameters").get(one.key, "")


def _in_order(word: str, name: str) -> bool:
    """Do the letters of `word` stand in `name` in this order (with others between)?"""
    letters = iter(name)
    return all(letter in letters for letter in word)
