"""Recipes that break a rule about adapters."""

from tests.trainer.config.rule_cases.case import PROCESSOR, Case, case

ADAPTER_CASES: tuple[Case, ...] = (
    case(
        "adapter_setting_unknown",
        "PEFT's lora has no setting rank_patern: did you mean rank_pattern?",
        method__adapter_kwargs={"rank_patern": {"q_proj": 4}, "lora_bias": True},
    ),
    case(
        "adapter_setting_parameter",
        "target_r of adalora is the parameter lora_rank: set that one",
        method__finetuning_type="adalora",
        method__adapter_kwargs={"target_r": 4},
    ),
    case(
        "adapter_setting_refused",
        "task_type cannot be given to vera: the run sets it",
        method__finetuning_type="vera",
        method__adapter_kwargs={"task_type": "CAUSAL_LM"},
    ),
    case(
        "adapter_setting_refused",
        "init_lora_weights = olora cannot be given to lora: it changes the base model",
        method__adapter_kwargs={"init_lora_weights": "olora"},
    ),
    case(
        "adapter_setting_type",
        "adapter_kwargs: rank_pattern = 'q_proj' does not fit lora: expected dict",
        method__adapter_kwargs={"rank_pattern": "q_proj", "lora_bias": True, "layers_to_transform": [0]},
    ),
    case(
        "adapter_setting_type",
        "adapter_kwargs: layers_to_transform = 'last' does not fit lora: expected list[int] or int",
        method__adapter_kwargs={"layers_to_transform": "last"},
    ),
    case(
        "adalora_ranks",
        "begins with rank init_r = 5 and ends with lora_rank = 8",
        method__finetuning_type="adalora",
        method__adapter_kwargs={"init_r": 5},
    ),
    case(
        "quantization_and_method",
        "finetuning_type lokr does not work with quantization_bit",
        quantization__quantization_bit=4,
        method__finetuning_type="lokr",
    ),
    case(
        "dora_in_8_bits_on_processor",
        "use_dora does not work with quantization_bit 8 on a CPU",
        PROCESSOR,
        quantization__quantization_bit=8,
        lora__use_dora=True,
    ),
    case("loftq_without_quantization", "needs quantization_bit 4 with quantization_method bnb", lora__loftq_init=True),
    case(
        "loftq_and_other",
        "loftq_init and use_dora exclude each other",
        quantization__quantization_bit=4,
        lora__loftq_init=True,
        lora__use_dora=True,
    ),
    case(
        "start_and_adapter",
        "pissa_init starts a new adapter, and adapter_name_or_path goes on with a trained one",
        lora__pissa_init=True,
        model__adapter_name_or_path=["a"],
    ),
    case(
        "start_and_adapter",
        "loftq_init starts a new adapter",
        quantization__quantization_bit=4,
        lora__loftq_init=True,
        model__adapter_name_or_path=["a"],
    ),
    case(
        "pissa_and_asft",
        "pissa_init changes the base weights, which use_asft_loss needs",
        lora__pissa_init=True,
        method__use_asft_loss=True,
    ),
    case(
        "prompts_and_packing",
        "finetuning_type prompt_tuning puts vectors in front of every row, which neat_packing does not allow",
        method__finetuning_type="prompt_tuning",
        data__neat_packing=True,
    ),
    case(
        "prompts_and_stage",
        "finetuning_type prompt_tuning works in the stages pt and sft, not rm",
        method__finetuning_type="prompt_tuning",
        method__stage="rm",
    ),
    case(
        "prefixes_and_checkpointing",
        "finetuning_type prefix_tuning does not work with gradient_checkpointing",
        method__finetuning_type="prefix_tuning",
        train__gradient_checkpointing=True,
    ),
)
