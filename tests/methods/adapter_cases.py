"""Methods that train adapters."""

from tests.methods.case import MethodCase, case

_ATTENTION = "self_attn.{q_proj,k_proj,v_proj,o_proj}"
_LINEAR = f"layers.{{0,1}}.{{{_ATTENTION},mlp.{{gate_proj,up_proj,down_proj}}}}"
# The linear layers of each architecture: all that `lora_target = all` takes.
_ALL = {
    "llama": _LINEAR,
    "mistral": _LINEAR,
    "qwen2": _LINEAR,
    "qwen3": _LINEAR,
    "gemma3": _LINEAR,
    "phi3": "layers.{0,1}.{self_attn.{qkv_proj,o_proj},mlp.{gate_up_proj,down_proj}}",
}
_AB = "{lora_A,lora_B}"

ADAPTER_CASES: tuple[MethodCase, ...] = (
    *(
        case(f"lora {architecture}", f"{linear}.{_AB}", architecture=architecture, merges=True, lora_dropout=0.1)
        for architecture, linear in _ALL.items()
    ),
    # The experts of a layer are two tensors, wrapped one in the other.
    case(
        "lora qwen3_moe",
        f"layers.{{0,1}}.{{{_ATTENTION},mlp.gate,mlp.experts,mlp.experts.base_layer}}.{_AB}",
        architecture="qwen3_moe",
        merges=True,
    ),
    case(
        "lora names",
        f"layers.{{0,1}}.self_attn.{{q_proj,v_proj}}.{_AB}",
        lora_target=["q_proj", "v_proj"],
        merges=True,
    ),
    case("lora regex", f"layers.1.{_ATTENTION}.{_AB}", lora_target=[r".*layers\.1\.self_attn\..*_proj"], merges=True),
    case("rslora", f"{_LINEAR}.{_AB}", use_rslora=True, architecture="llama", learning_rate=3e-3, merges=True),
    case("dora", f"{_LINEAR}.{{lora_A,lora_B,lora_magnitude_vector}}", use_dora=True, merges=True),
    case(
        "lora patterns",
        f"layers.{{0,1}}.self_attn.{{q_proj,v_proj}}.{_AB}",
        lora_target=["q_proj", "v_proj"],
        adapter_kwargs={"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 4}},
        merges=True,
    ),
    case(
        "lora and whole modules",
        f"{_LINEAR}.{_AB} {{embed_tokens,lm_head}}.modules_to_save",
        architecture="llama",
        tied=False,
        lora__additional_target=["embed_tokens", "lm_head"],
        merges=True,
    ),
    # One tensor, trained once.
    case(
        "lora and tied head",
        f"{_LINEAR}.{_AB} embed_tokens.modules_to_save",
        lora__additional_target=["lm_head"],
        merges=True,
    ),
    case(
        "lora and tied embedding",
        f"{_LINEAR}.{_AB} embed_tokens.modules_to_save",
        lora__additional_target=["embed_tokens", "lm_head"],
        merges=True,
    ),
    case("lora, pure_bf16", f"{_LINEAR}.{_AB}", pure_bf16=True, tolerance=0.05),
    case("pissa", f"{_LINEAR}.{_AB}", pissa_init=True, merges=True),
    case("pissa exact", f"{_LINEAR}.{_AB}", pissa_init=True, pissa_iter=-1, use_rslora=True, lora_rank=4, merges=True),
    case("pissa converted", f"{_LINEAR}.{_AB}", pissa_init=True, pissa_convert=True, architecture="llama", merges=True),
    case(
        "pissa dora",
        f"{_LINEAR}.{{lora_A,lora_B,lora_magnitude_vector}}",
        pissa_init=True,
        use_dora=True,
        lora_rank=4,
        merges=True,
    ),
    case("oft", f"{_LINEAR}.oft_R", finetuning_type="oft", oft_block_size=8, merges=True),
    case(
        "oft rank",
        f"layers.{{0,1}}.{_ATTENTION}.oft_R",
        finetuning_type="oft",
        oft_block_size=0,
        oft_rank=4,
        oft_target=["q_proj", "k_proj", "v_proj", "o_proj"],
        module_dropout=0.1,
        architecture="llama",
        merges=True,
    ),
    case(
        "adalora",
        f"{_LINEAR}.{{lora_A,lora_B,lora_E}}",
        finetuning_type="adalora",
        lora_rank=4,
        adapter_kwargs={"tinit": 1, "init_r": 5},
        merges=True,
    ),
    case(
        "vera",
        f"{_LINEAR}.{{vera_lambda_b,vera_lambda_d}}",
        finetuning_type="vera",
        lora_rank=16,
        learning_rate=0.1,
        merges=True,
    ),
    case("loha", f"{_LINEAR}.{{hada_w1_a,hada_w1_b,hada_w2_a,hada_w2_b}}", finetuning_type="loha", merges=True),
    case("lokr", f"{_LINEAR}.{{lokr_w1,lokr_w2}}", finetuning_type="lokr", merges=True),
    case("miss", f"{_LINEAR}.miss_block", finetuning_type="miss", merges=True),
    case("ia3", f"{_LINEAR}.ia3_l", finetuning_type="ia3", learning_rate=0.1, merges=True),
    case(
        "ln_tuning",
        "{norm,layers.{0,1}.{input_layernorm,post_attention_layernorm,self_attn.q_norm,self_attn.k_norm}}.ln_tuning_layers",
        finetuning_type="ln_tuning",
        learning_rate=0.1,
        merges=True,
    ),
    case(
        "prompt_tuning",
        "prompt_encoder.embedding",
        finetuning_type="prompt_tuning",
        learning_rate=0.3,
        adapter_kwargs={"num_virtual_tokens": 4},
    ),
    case("prefix_tuning", "prompt_encoder.embedding", finetuning_type="prefix_tuning", learning_rate=0.3),
    case(
        "llama pro, lora",
        f"{_LINEAR.replace('layers.{0,1}', 'layers.{1,3}')}.{_AB}",
        added_blocks=2,
        use_llama_pro=True,
        architecture="llama",
        merges=True,
    ),
    case("loftq", f"{_LINEAR}.{_AB}", quantization_bit=4, loftq_init=True, lora_rank=4, merges=True),
    case(
        "dora nf4", f"{_LINEAR}.{{lora_A,lora_B,lora_magnitude_vector}}", quantization_bit=4, use_dora=True, merges=True
    ),
    case("oft nf4", f"{_LINEAR}.oft_R", finetuning_type="oft", oft_block_size=8, quantization_bit=4, merges=True),
    case(
        "vera nf4",
        f"{_LINEAR}.{{vera_lambda_b,vera_lambda_d}}",
        finetuning_type="vera",
        lora_rank=16,
        learning_rate=0.1,
        quantization_bit=4,
        merges=True,
    ),
    case("miss nf4", f"{_LINEAR}.miss_block", finetuning_type="miss", quantization_bit=4, merges=True),
    case("ia3 nf4", f"{_LINEAR}.ia3_l", finetuning_type="ia3", learning_rate=0.1, quantization_bit=4),
    case(
        "adalora nf4",
        f"{_LINEAR}.{{lora_A,lora_B,lora_E}}",
        finetuning_type="adalora",
        lora_rank=4,
        adapter_kwargs={"tinit": 1, "init_r": 5},
        quantization_bit=4,
        merges=True,
    ),
)
