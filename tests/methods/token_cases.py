"""Methods on a model that gets new tokens: the rows say so, and only they are trained with adapters."""

from tests.methods.case import MethodCase, case

# Words of the rows that become tokens, one of them special.
_NEW = {"add_tokens": ["plus"], "add_special_tokens": ["It is"]}
_ATTENTION = "self_attn.{q_proj,k_proj,v_proj,o_proj}"
_LORA = f"layers.{{0,1}}.{{{_ATTENTION},mlp.{{gate_proj,up_proj,down_proj}}}}.{{lora_A,lora_B}}"
_ROWS = "token_adapter.trainable_tokens_delta"

TOKEN_CASES: tuple[MethodCase, ...] = (
    case("new tokens, lora tied", f"{_LORA} embed_tokens.{_ROWS}", merges=True, **_NEW),
    case(
        "new tokens, lora untied",
        f"{_LORA} {{embed_tokens,lm_head}}.{_ROWS}",
        architecture="llama",
        tied=False,
        merges=True,
        **_NEW,
    ),
    case(
        "new tokens, lora with scaled embeddings",
        f"{_LORA} embed_tokens.{_ROWS}",
        architecture="gemma3",
        merges=True,
        **_NEW,
    ),
    case(
        "new tokens, qlora nf4 untied",
        f"{_LORA} {{embed_tokens,lm_head}}.{_ROWS}",
        architecture="llama",
        tied=False,
        merges=True,
        quantization_bit=4,
        **_NEW,
    ),
    case(
        "new tokens, qlora 8 bit",
        f"{_LORA} embed_tokens.{_ROWS}",
        merges=True,
        tolerance=0.02,
        quantization_bit=8,
        **_NEW,
    ),
    case(
        "trainable tokens, lora",
        f"layers.{{0,1}}.self_attn.q_proj.{{lora_A,lora_B}} embed_tokens.{_ROWS}",
        merges=True,
        lora_target=["q_proj"],
        trainable_tokens=["<|im_end|>", "35"],
    ),
    case(
        "new tokens, freeze untied",
        "layers.1.mlp.{gate_proj,up_proj,down_proj} embed_tokens lm_head",
        architecture="llama",
        tied=False,
        finetuning_type="freeze",
        freeze_trainable_layers=1,
        freeze_trainable_modules=["mlp"],
        **_NEW,
    ),
)
