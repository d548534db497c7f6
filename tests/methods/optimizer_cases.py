"""How weights are moved: the optimizers that are ours or have groups of their own, and a few of transformers'."""

from tests.methods.case import MethodCase, case

_ATTENTION = "self_attn.{q_proj,k_proj,v_proj,o_proj,q_norm,k_norm}"
_LAYER = f"{{{_ATTENTION},mlp.{{gate_proj,up_proj,down_proj}},{{input_layernorm,post_attention_layernorm}}}}"
_LAYERS = f"layers.{{0,1}}.{_LAYER}"
_ALL = f"embed_tokens norm {_LAYERS}"
_LORA = "layers.{0,1}.{self_attn.{q_proj,k_proj,v_proj,o_proj},mlp.{gate_proj,up_proj,down_proj}}.lora_{A,B}"
_AT_ONCE = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1}
_ALL_LINEAR = {"trainer__optim_target_modules": "all-linear"}

OPTIMIZER_CASES: tuple[MethodCase, ...] = (
    case("galore", _ALL, finetuning_type="full", use_galore=True, galore_rank=4, galore_update_interval=3),
    case("galore, 8 bits", _ALL, finetuning_type="full", use_galore=True, optim="adamw_8bit"),
    case("galore, layerwise", _ALL, finetuning_type="full", use_galore=True, galore_layerwise=True, **_AT_ONCE),
    case("apollo", _ALL, finetuning_type="full", use_apollo=True, apollo_rank=4, apollo_update_interval=3),
    case("apollo, layerwise", _ALL, finetuning_type="full", use_apollo=True, apollo_layerwise=True, **_AT_ONCE),
    # Four steps: the second layer has its turn after the third.
    case("badam", _LAYERS, finetuning_type="full", use_badam=True, badam_switch_interval=3),
    case(
        "badam, fixed",
        f"layers.1.{_LAYER}",
        finetuning_type="full",
        use_badam=True,
        badam_switch_mode="fixed",
        badam_start_block=1,
    ),
    case(
        "badam, shares",
        f"norm {_LAYERS}",
        finetuning_type="full",
        use_badam=True,
        badam_mode="ratio",
        badam_update_ratio=0.5,
        badam_mask_mode="scatter",
    ),
    case("adam-mini", _ALL, finetuning_type="full", use_adam_mini=True, weight_decay=0.1),
    case("muon", _ALL, finetuning_type="full", use_muon=True, weight_decay=0.1),
    case("lora+", _LORA, loraplus_lr_ratio=4.0, merges=True),
    case("lomo", _ALL, finetuning_type="full", optim="lomo", learning_rate=0.1, **_AT_ONCE),
    case("adalomo", _ALL, finetuning_type="full", optim="adalomo", **_AT_ONCE),
    case("apollo_adamw", _ALL, finetuning_type="full", optim="apollo_adamw", optim_args="rank=4", **_ALL_LINEAR),
    case("paged_adamw_8bit", _LORA, optim="paged_adamw_8bit", merges=True),
)
