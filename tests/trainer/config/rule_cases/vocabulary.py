"""Recipes that break a rule about tokens."""

from tests.trainer.config.rule_cases.case import Case, case

VOCABULARY_CASES: tuple[Case, ...] = (
    case(
        "no_slow_tokenizer",
        "transformers 5 has no tokenizers written in Python any more",
        model__use_fast_tokenizer=False,
    ),
    case("new_token_empty", "add_tokens holds an empty text", model__add_tokens=["a", ""]),
    case("new_token_twice", "the new token a is named twice", model__add_special_tokens=["a", "b", "a"]),
    case(
        "new_token_twice",
        "the new token a is named twice",
        model__add_tokens=["a"],
        model__add_special_tokens=["a", "b"],
    ),
    case(
        "descriptions_missing",
        "init_special_tokens = desc_init starts from descriptions, and there are none",
        model__add_tokens=["a"],
        model__init_special_tokens="desc_init",
    ),
    case(
        "descriptions_unused",
        "are not used with init_special_tokens = noise_init",
        model__new_special_tokens_config="tokens.yaml",
    ),
    case(
        "quantization_and_resize_vocab",
        "add_tokens grows the embeddings, which is known to work with quantization_method bnb alone, not with hqq",
        quantization__quantization_bit=4,
        quantization__quantization_method="hqq",
        model__add_tokens=["a"],
    ),
    case(
        "adapter_and_new_tokens",
        "add_special_tokens needs new embeddings, and oft cannot train single rows",
        method__finetuning_type="oft",
        model__add_special_tokens=["<a>"],
    ),
    case(
        "lora_on_embeddings_with_rows",
        "trainable_tokens trains rows of the embeddings, which cannot have a LoRA matrix too",
        lora__lora_target=["q_proj", "embed_tokens"],
        lora__trainable_tokens=["7"],
    ),
    case(
        "rows_in_whole_matrix",
        "additional_target trains embed_tokens as a whole",
        lora__additional_target=["embed_tokens"],
        lora__trainable_tokens=["7"],
    ),
)
