"""The trainings that `memory_estimate` compares: shapes of models, methods, settings. Not for how they are measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer.config.form import ADAPTER_METHODS

SHAPES: dict[str, dict[str, int]] = {
    "25M": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 6},
    "110M": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12},
    "0.5B": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14},
    "1.5B": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12},
    "7B": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
}
VOCABULARY = {"25M": 8192, "110M": 32000, "0.5B": 151936, "1.5B": 151936, "7B": 32000}


MOE = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 512}


@dataclass(frozen=True)
class Case:
    """One training that is estimated and measured."""

    shape: str
    method: str
    checkpointing: bool
    batch: int
    length: int
    architecture: str = "llama"
    settings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The case in words."""
        words = [self.architecture, self.shape, self.method, f"{self.batch}x{self.length}"]
        return " ".join([*words, *(["checkpointing"] * self.checkpointing), *self.settings])

    def overrides(self, model: Path) -> list[str]:
        """The recipe's settings."""
        return [
            f"model_name_or_path={model}",
            "dataset=none",
            f"finetuning_type={self.method}",
            f"per_device_train_batch_size={self.batch}",
            f"cutoff_len={self.length}",
            f"train.gradient_checkpointing={str(self.checkpointing).lower()}",
            *(() if any("accumulation" in word for word in self.settings) else ("gradient_accumulation_steps=1",)),
            *self.settings,
        ]


BOTH = (False, True)
QLORA = "quantization_bit=4"
CPU_CASES = [
    Case(shape, method, checkpointing, batch, length)
    for shape, batch, length in (("25M", 2, 128), ("25M", 8, 512), ("110M", 2, 256))
    for method in ("lora", "full", "freeze")
    for checkpointing in BOTH
]
CPU_CASES += [
    Case("25M", "lora", checkpointing, 4, 256, settings=settings)
    for settings in (
        (QLORA,),
        (QLORA, "bf16=true"),
        ("quantization_bit=8",),
        ("bf16=true",),
        ("pure_bf16=true",),
        ("neat_packing=true",),
        ("packing=true",),
        ("flash_attn=disabled",),
        ("padding_free=true",),
    )
    for checkpointing in BOTH
]
CPU_CASES += [
    Case("110M", "lora", checkpointing, 2, 256, settings=settings)
    for settings in ((QLORA, "bf16=true"), ("bf16=true",))
    for checkpointing in BOTH
]
CPU_CASES += [
    Case("25M", method, checkpointing, 4, 256, architecture)
    for architecture in ("qwen2", "qwen3", "gemma3_text", "mistral", "phi3", "qwen3_moe", "mixtral")
    for method in ("lora", "full")
    for checkpointing in BOTH
]
CPU_CASES += [
    Case("25M", "full", False, 4, 256, settings=settings)
    for settings in (
        ("gradient_accumulation_steps=2",),
        ("optim=adafactor",),
        ("optim=sgd",),
        ("optim=adamw_torch_fused",),
        ("optim=adamw_bnb_8bit",),
        ("pure_bf16=true",),
        ("bf16=true",),
    )
]
CPU_CASES += [
    # So few tokens that the update needs more than the activations.
    Case("25M", "full", False, 1, 64, settings=settings)
    for settings in (
        ("use_galore=true", "galore_rank=16", "galore_update_interval=1"),
        ("use_galore=true", "galore_rank=16", "galore_update_interval=1", "galore_layerwise=true"),
        ("use_apollo=true", "apollo_rank=16"),
        ("use_apollo=true", "apollo_rank=16", "apollo_layerwise=true"),
        ("use_apollo=true", "apollo_rank=16", "apollo_proj=svd", "apollo_update_interval=1"),
        ("use_badam=true",),
        ("use_badam=true", "badam_mode=ratio", "badam_update_ratio=0.1"),
        ("use_adam_mini=true",),
        ("use_muon=true",),
        ("optim=lomo",),
        ("optim=adalomo",),
    )
]
CPU_CASES += [
    Case("25M", method, checkpointing, 4, 256, settings=settings)
    for settings in (("use_dft_loss=true",), ("use_asft_loss=true",), ("use_eaft_loss=true",))
    for method, checkpointing in (("lora", False), ("full", True))
]
CPU_CASES += [
    Case("25M", method, checkpointing, 2, 256, settings=settings)
    for settings in (
        ("stage=dpo",),
        ("stage=dpo", "pref_loss=orpo"),
        ("stage=kto",),
        ("stage=rm",),
    )
    for method, checkpointing in (("lora", False), ("full", True))
]
CPU_CASES += [Case("25M", method, False, 4, 256) for method in ADAPTER_METHODS if method != "lora"]
GPU_CASES = [
    Case(shape, method, True, batch, length, settings=settings)
    for shape, batch, length in (("0.5B", 4, 1024), ("1.5B", 4, 1024), ("7B", 1, 2048))
    for method, settings in (("lora", ()), ("lora", (QLORA,)), ("full", ()))
    # Full training of 7 billion weights in float32 needs 112 GiB before the first activation.
    if (shape, method) != ("7B", "full")
]
GPU_CASES += [
    Case("7B", "full", True, 1, 2048, settings=("pure_bf16=true",)),
    Case("1.5B", "lora", False, 2, 1024),
    Case("7B", "lora", True, 4, 2048),
    Case("7B", "freeze", True, 1, 2048),
    Case("7B", "lora", True, 4, 2048, settings=(QLORA,)),
    Case("7B", "lora", True, 1, 2048, settings=("quantization_bit=8",)),
    Case("1.5B", "full", True, 4, 1024, settings=("optim=adamw_bnb_8bit",)),
    Case("1.5B", "lora", True, 4, 1024, settings=("neat_packing=true",)),
]
