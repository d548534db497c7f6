"""Recipes that break a rule about how the model is loaded."""

from tests.trainer.config.rule_cases.case import PROCESSOR, TWO_GPUS, Case, bare, case

LOADING_CASES: tuple[Case, ...] = (
    case("flash_attention_without_gpu", "flash_attn = fa2 needs an NVIDIA GPU", PROCESSOR, model__flash_attn="fa2"),
    case(
        "flash_attention_in_float32",
        "flash_attn = fa3 computes in 16 bits only",
        TWO_GPUS,
        model__flash_attn="fa3",
        train__bf16=False,
    ),
    case(
        "shift_attn_and_flash_attn",
        "flash_attn = disabled asks for another",
        model__shift_attn=True,
        model__flash_attn="disabled",
    ),
    case("liger_without_gpu", "needs an NVIDIA GPU", PROCESSOR, model__enable_liger_kernel=True),
    case("unsloth_needs_older_trl", "unsloth replaces the trainers of TRL 1.15", model__use_unsloth=True),
    case(
        "offload_without_checkpointing",
        "use_unsloth_gc moves what gradient checkpointing stores",
        model__use_unsloth_gc=True,
        model__disable_gradient_checkpointing=True,
    ),
    case(
        "offload_without_checkpointing",
        "use_unsloth_gc moves what gradient checkpointing stores",
        model__use_unsloth_gc=True,
        train__gradient_checkpointing=False,
    ),
    case(
        "package_missing",
        "enable_liger_kernel = true needs the package liger-kernel, which is not installed: pip install liger-kernel",
        bare(TWO_GPUS),
        model__enable_liger_kernel=True,
    ),
    case(
        "package_missing",
        "quantization_method = bnb needs the package bitsandbytes",
        bare(PROCESSOR),
        quantization__quantization_bit=4,
    ),
    case(
        "package_missing",
        "flash_attn = fa3 needs the package flash-attn-3, which is not installed: build it from the folder hopper",
        bare(TWO_GPUS),
        model__flash_attn="fa3",
    ),
    case("mixture_of_depths_is_broken", "does not work with transformers 5", model__mixture_of_depths="convert"),
    case("low_cpu_mem_usage_always", "transformers 5 has no other way", model__low_cpu_mem_usage=False),
    case(
        "eetq_is_downloaded_code",
        "transformers downloads its code from the hub and runs it",
        quantization__quantization_method="eetq",
        quantization__quantization_bit=8,
    ),
    case("from_scratch_needs_full", "finetuning_type lora would leave most of them so", model__train_from_scratch=True),
    case(
        "upcast_in_float32",
        "upcast_layernorm has no effect",
        model__upcast_layernorm=True,
        train__bf16=False,
    ),
)
