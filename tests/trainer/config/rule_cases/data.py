"""Recipes that break a rule about availability and data."""

from tests.trainer.config.rule_cases.case import Case, case

DATA_CASES: tuple[Case, ...] = (
    case("refused_megatron", "use_mca is refused: Megatron replaces the training loop", method__use_mca=True),
    case("refused_hyper_parallel", "hyper_parallel_cp_size is refused", method__hyper_parallel_cp_size=2),
    case("refused_fp8", "fp8 is refused: training in 8 bits needs a Hopper GPU", fp8__fp8=True),
    case("refused_v1_kernels", "use_v1_kernels is refused: these kernels are part of", model__use_v1_kernels=True),
    case("not_available_yet", "ray_num_workers is not available yet: remove it (default 1)", ray__ray_num_workers=2),
    case(
        "choice_not_available_yet",
        "infer_backend = vllm is not available yet: choose huggingface",
        model__infer_backend="vllm",
    ),
    case(
        "does_not_apply_to_stage",
        "pref_beta does not apply to stage sft: remove it or choose stage dpo or kto",
        preference__pref_beta=0.2,
    ),
    case(
        "does_not_apply_to_stage",
        "ignore_pad_token_for_loss does not apply to stage rm: remove it or choose stage pt or sft",
        method__stage="rm",
        data__ignore_pad_token_for_loss=False,
    ),
    case(
        "does_not_apply_to_stage",
        "mask_history does not apply to stage pt: remove it or choose stage sft",
        method__stage="pt",
        data__mask_history=True,
    ),
    case(
        "has_no_effect",
        "lora_rank has no effect unless finetuning_type is lora",
        method__finetuning_type="full",
        lora__lora_rank=16,
    ),
    case(
        "has_no_effect_with",
        "create_new_adapter has no effect where finetuning_type is ",
        method__finetuning_type="full",
        lora__create_new_adapter=True,
    ),
    case("no_model", "model_name_or_path is not set", model__model_name_or_path=None),
    case("no_dataset", "dataset is empty but do_train is on", data__dataset=[]),
    case("nothing_to_do", "do_train, do_eval and do_predict are all off", train__do_train=False),
    case(
        "val_size_without_dataset", "which is empty: set dataset or val_size = 0", data__dataset=[], data__val_size=0.1
    ),
    case(
        "val_size_and_eval_dataset",
        "val_size and eval_dataset both say what to evaluate on",
        data__val_size=0.1,
        data__eval_dataset=["other"],
    ),
    case("val_size_not_whole", "val_size = 2.5 is a number of rows and must be whole", data__val_size=2.5),
    case("evaluation_without_data", "eval_strategy evaluates, but there is nothing", train__eval_strategy="epoch"),
    case("evaluation_without_data", "do_eval evaluates, but there is nothing", train__do_eval=True),
    case("evaluation_data_unused", "val_size gives evaluation rows, but eval_strategy is no", data__val_size=0.1),
    case(
        "evaluation_on_training_rows", "identity stands in dataset and in eval_dataset", data__eval_dataset=["identity"]
    ),
    case(
        "interleave_probs_without_interleave",
        "interleave_probs needs an interleaving mix_strategy, not concat",
        data__interleave_probs=[1.0],
    ),
    case(
        "interleave_probs_count",
        "interleave_probs has 2 entries and dataset has 1",
        data__mix_strategy="interleave_under",
        data__interleave_probs=[0.5, 0.5],
    ),
    case("interleave_probs_values", "they add up to 0.4", data__interleave_probs=[0.4]),
    case(
        "streaming_val_size",
        "not the share 0.1: choose 1 or more",
        data__streaming=True,
        data__val_size=0.1,
        train__max_steps=9,
    ),
    case("streaming_max_steps", "streaming does not know how many rows come: set max_steps", data__streaming=True),
    case(
        "streaming_max_samples",
        "max_samples does not work with streaming",
        data__streaming=True,
        data__max_samples=5,
    ),
    case(
        "streaming_tokenized_path",
        "turn streaming off or remove tokenized_path",
        data__streaming=True,
        data__tokenized_path="x",
    ),
    case(
        "streaming_epochs", "eval_strategy = epoch has no meaning", data__streaming=True, train__eval_strategy="epoch"
    ),
    case("streaming_epochs", "set save_strategy = steps", data__streaming=True, train__save_strategy="epoch"),
    case(
        "streaming_each_dataset",
        "the rows of val_size are not told apart",
        data__streaming=True,
        data__val_size=8.0,
        data__eval_on_each_dataset=True,
    ),
    case("streaming_stops_at_bad_row", "a bad row is found while training", data__streaming=True),
    case(
        "mask_history_and_train_on_prompt",
        "mask_history learns less and train_on_prompt more",
        data__mask_history=True,
        data__train_on_prompt=True,
    ),
    case("packing_in_stage", "which stage dpo cannot do", method__stage="dpo", data__packing=True),
    case(
        "packing_and_padding_free",
        "turn neat_packing on, or one of them off",
        data__packing=True,
        data__padding_free=True,
    ),
    case(
        "padding_is_not_learned",
        "neat_packing has hardly any padding",
        data__neat_packing=True,
        data__ignore_pad_token_for_loss=False,
    ),
    case(
        "padding_is_not_learned",
        "padding_free has hardly any padding",
        data__padding_free=True,
        data__ignore_pad_token_for_loss=False,
    ),
    case("long_rows_are_cut_up", "on_long_row = drop has no effect", method__stage="pt", data__on_long_row="drop"),
    case("padding_free_without_flash", "padding_free with flash_attn = auto", data__padding_free=True),
    case("each_dataset_without_evaluation", "has nothing to evaluate on", data__eval_on_each_dataset=True),
    case("tool_format_without_template", "tool_format = qwen has no effect", data__tool_format="qwen"),
    case(
        "neat_packing_without_packing",
        "neat_packing packs, but packing is off",
        data__neat_packing=True,
        data__packing=False,
    ),
    case("predict_without_generate", "turn predict_with_generate on", train__do_predict=True),
    case("predict_in_stage", "nothing to predict in stage dpo", method__stage="dpo", train__do_predict=True),
    case(
        "predict_with_generate_and_train_on_prompt",
        "cannot tell where the answers begin",
        train__predict_with_generate=True,
        data__train_on_prompt=True,
    ),
    case("predict_with_generate_unused", "and none is planned", train__predict_with_generate=True),
    case(
        "score_without_answers",
        "metric_for_best_model = eval_rouge-l scores generated answers",
        train__eval_strategy="steps",
        train__metric_for_best_model="eval_rouge-l",
    ),
    case(
        "predict_with_generate_and_zero3",
        "predict_with_generate does not work under DeepSpeed ZeRO-3",
        train__predict_with_generate=True,
        train__deepspeed={"zero_optimization": {"stage": 3}},
    ),
    case(
        "image_pixels",
        "image_min_pixels = 600000 is above image_max_pixels = 589824",
        multimodal__image_min_pixels=600000,
    ),
    case(
        "video_pixels", "video_min_pixels = 70000 is above video_max_pixels = 65536", multimodal__video_min_pixels=70000
    ),
)
