"""Recipes that break a rule about the optimizer."""

from tests.trainer.config.rule_cases.case import TWO_GPUS, Case, case

OPTIMIZER_CASES: tuple[Case, ...] = (
    case(
        "optimizers_exclusive",
        "use_galore and use_badam exclude each other",
        galore__use_galore=True,
        badam__use_badam=True,
        method__finetuning_type="full",
    ),
    case(
        "optimizer_needs_whole_weights",
        "use_apollo trains all weights and excludes finetuning_type lora",
        apollo__use_apollo=True,
    ),
    case(
        "layerwise_and_several_gpus",
        "galore_layerwise updates on one GPU only, and there are 2",
        TWO_GPUS,
        galore__use_galore=True,
        galore__galore_layerwise=True,
    ),
    case(
        "layerwise_and_accumulation",
        "apollo_layerwise updates at once and cannot wait for gradient_accumulation_steps = 8",
        apollo__use_apollo=True,
        apollo__apollo_layerwise=True,
    ),
    case(
        "optimizer_and_deepspeed",
        "use_galore does not work with deepspeed",
        galore__use_galore=True,
        train__deepspeed="ds.json",
    ),
    case(
        "badam_and_several_gpus",
        "use_badam with badam_mode layer needs one GPU, or ZeRO-3 in mode layer, and there are 2",
        TWO_GPUS,
        badam__use_badam=True,
    ),
    case(
        "optimizers_exclusive",
        "loraplus_lr_ratio and use_muon exclude each other",
        lora__loraplus_lr_ratio=16.0,
        method__use_muon=True,
    ),
    case(
        "optimizer_needs_whole_weights",
        "galore_adamw trains all weights",
        train__optim="galore_adamw",
        trainer__optim_target_modules="all-linear",
    ),
    case(
        "layerwise_and_accumulation",
        "optim = lomo updates at once",
        train__optim="lomo",
    ),
    case(
        "layerwise_and_fp16",
        "galore_layerwise updates in the backward pass",
        galore__use_galore=True,
        galore__galore_layerwise=True,
        train__fp16=True,
    ),
    case("optimizer_without_hardware", "optim = adamw_torch_xla needs a TPU", train__optim="adamw_torch_xla"),
    case("optimizer_without_hardware", "needs an Ascend NPU", train__optim="adamw_torch_npu_fused"),
    case("optimizer_without_package", "needs torchdistx", train__optim="adamw_anyprecision"),
    case("optimizer_forgets", "a resumed run starts it anew", train__optim="grokadamw"),
    case(
        "optimizer_base",
        "use_badam works with optim = adamw_torch, adamw_torch_fused, adafactor",
        badam__use_badam=True,
        method__finetuning_type="full",
        train__optim="sgd",
    ),
    case("optimizer_base", "LoRA+ works with", lora__loraplus_lr_ratio=16.0, train__optim="lomo"),
    case(
        "optimizer_replaced",
        "use_muon is the optimizer, so that optim = sgd is not used",
        method__use_muon=True,
        train__optim="sgd",
    ),
    case(
        "optimizer_args_form",
        "optim_args = rank is no list of settings: write name=value,name=value",
        train__optim_args="rank",
    ),
    case(
        "optimizer_args_value",
        "galore_adamw does not know rang=4 of optim_args: write name=value with a name of rank, update_proj_gap, scale",
        train__optim="galore_adamw",
        train__optim_args="rang=4",
    ),
    case(
        "optimizer_args_value",
        "apollo_adamw does not know rank=0 of optim_args: write rank= a whole number from 1",
        train__optim="apollo_adamw",
        train__optim_args="scale=0.5,rank=0",
    ),
    case(
        "optimizer_args_value",
        "apollo_adamw does not know proj=full of optim_args: write proj=random|svd",
        train__optim="apollo_adamw",
        train__optim_args="proj=full",
    ),
    case(
        "optimizer_args_not_read",
        "use_adam_mini has settings of its own",
        method__use_adam_mini=True,
        train__optim_args="eps=0.1",
    ),
    case("optimizer_does_not_read", "optim = sgd has no adam_beta1", train__optim="sgd", train__adam_beta1=0.8),
    case(
        "optimizer_does_not_read",
        "optim = lion_8bit has no adam_epsilon",
        train__optim="lion_8bit",
        train__adam_epsilon=1e-6,
    ),
    case(
        "optimizer_needs_targets",
        "optim = galore_adamw needs optim_target_modules in [trainer]",
        train__optim="galore_adamw",
    ),
)
