"""Recipes that break a rule about what is trained."""

from tests.trainer.config.rule_cases.case import OLD_GPU, ZERO3, Case, case

METHOD_CASES: tuple[Case, ...] = (
    case(
        "quantization_needs_adapter",
        "quantization_bit works only with finetuning_type lora or oft, not full",
        quantization__quantization_bit=4,
        method__finetuning_type="full",
    ),
    case(
        "quantization_and_pissa",
        "pissa_init takes the weights apart",
        quantization__quantization_bit=4,
        lora__pissa_init=True,
    ),
    case(
        "quantization_and_adapters",
        "adapter_name_or_path names 2",
        quantization__quantization_bit=4,
        model__adapter_name_or_path=["a", "b"],
    ),
    case(
        "quantization_and_new_adapter",
        "create_new_adapter merges the adapter first",
        quantization__quantization_bit=4,
        model__adapter_name_or_path=["a"],
        lora__create_new_adapter=True,
    ),
    case(
        "quantization_bits",
        "quantization_method bnb takes 4 or 8 bits, not quantization_bit = 3",
        quantization__quantization_bit=3,
    ),
    case(
        "quantization_bits",
        "quantization_method eetq takes 8 bits, not quantization_bit = 4",
        quantization__quantization_bit=4,
        quantization__quantization_method="eetq",
    ),
    case(
        "quantization_and_sharding",
        "8-bit quantization does not work under DeepSpeed ZeRO-3",
        quantization__quantization_bit=8,
        train__deepspeed=ZERO3,
    ),
    case(
        "quantization_and_sharding",
        "hqq does not work under FSDP",
        quantization__quantization_bit=4,
        quantization__quantization_method="hqq",
        train__fsdp="full_shard",
    ),
    case(
        "quantization_device_map_in_training",
        "quantization_device_map = auto is for chat",
        quantization__quantization_bit=4,
        quantization__quantization_device_map="auto",
    ),
    case(
        "quantization_and_fp8",
        "fp8 and quantization_bit exclude each other",
        quantization__quantization_bit=4,
        fp8__fp8=True,
    ),
    case(
        "pure_bf16_and_upcast",
        "upcast_layernorm asks for float32, pure_bf16 for bfloat16 alone",
        method__pure_bf16=True,
        model__upcast_layernorm=True,
    ),
    case(
        "adapter_without_adapter_method",
        "adapter_name_or_path needs finetuning_type lora or oft, not freeze",
        model__adapter_name_or_path=["a"],
        method__finetuning_type="freeze",
    ),
    case("new_adapter_without_adapter", "which is empty: remove create_new_adapter", lora__create_new_adapter=True),
    case(
        "needs_lora",
        "use_dora is a kind of LoRA and needs finetuning_type lora, not full",
        lora__use_dora=True,
        method__finetuning_type="full",
    ),
    case(
        "pissa_and_stage",
        "pissa_init changes the base weights, which stage kto needs",
        lora__pissa_init=True,
        method__stage="kto",
    ),
    case(
        "pissa_and_reference_model",
        "which ref_model needs as they were",
        lora__pissa_init=True,
        preference__ref_model="m",
        method__stage="dpo",
    ),
    case(
        "pissa_and_zero3",
        "pissa_init does not work under DeepSpeed ZeRO-3",
        lora__pissa_init=True,
        train__deepspeed="ds_z3_config.json",
    ),
    case(
        "llama_pro_and_full",
        "use_llama_pro trains added blocks alone",
        method__use_llama_pro=True,
        method__finetuning_type="full",
    ),
    case("pure_bf16_without_hardware", "pure_bf16 needs a GPU with bfloat16", OLD_GPU, method__pure_bf16=True),
    case(
        "pure_bf16_and_zero3",
        "pure_bf16 does not work under DeepSpeed ZeRO-3",
        method__pure_bf16=True,
        train__deepspeed=ZERO3,
    ),
    case(
        "pure_bf16_and_mixed",
        "bf16 is mixed precision and pure_bf16 is not mixed",
        method__pure_bf16=True,
        train__bf16=True,
    ),
    case(
        "unsloth_and_zero3",
        "use_unsloth does not work under DeepSpeed ZeRO-3",
        model__use_unsloth=True,
        train__deepspeed=ZERO3,
    ),
    case(
        "losses_exclusive",
        "use_dft_loss and use_eaft_loss both replace the loss",
        method__use_dft_loss=True,
        method__use_eaft_loss=True,
    ),
    case(
        "engines_exclusive",
        "use_mca and use_hyper_parallel both replace the training engine",
        method__use_mca=True,
        method__use_hyper_parallel=True,
    ),
    case(
        "oft_rank_or_block",
        "oft_rank = 4 and oft_block_size = 32: exactly one",
        method__finetuning_type="oft",
        oft__oft_rank=4,
    ),
)
