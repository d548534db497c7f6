"""Methods on base models that are loaded in a particular way."""

from tests.methods.case import MethodCase, case

_LORA = "layers.{0,1}.{self_attn.{q_proj,k_proj,v_proj,o_proj},mlp.{gate_proj,up_proj,down_proj}}.{lora_A,lora_B}"

LOADING_CASES: tuple[MethodCase, ...] = (
    # Evaluated in the middle, which bitsandbytes' own layers do not survive on some processors.
    case(
        "qlora nf4",
        _LORA,
        merges=True,
        quantization_bit=4,
        lora_dropout=0.1,
        val_size=2,
        eval_strategy="steps",
        eval_steps=1,
    ),
    case("qlora 8 bit", _LORA, merges=True, tolerance=0.02, quantization_bit=8),
    case("lora, stretched", _LORA, rope_scaling="yarn", cutoff_len=1024),
)
