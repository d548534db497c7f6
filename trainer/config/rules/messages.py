"""The English text of every rule, by its name. The Chinese ones are in the catalogue; a test compares the two."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # availability
    "not_available_yet": "{name} is not available yet: remove it (default {default})",
    "refused_megatron": "{name} is refused: Megatron replaces the training loop by an engine of its own, and trimtab "
    "trains through the Hugging Face Trainer alone: remove it (default {default})",
    "refused_hyper_parallel": "{name} is refused: HyperParallel replaces the training loop by an engine of its own, "
    "and trimtab trains through the Hugging Face Trainer alone: remove it (default {default})",
    "refused_fp8": "{name} is refused: training in 8 bits needs a Hopper GPU or newer and has not been measured here, "
    "so that neither its speed nor its loss could be vouched for: remove it (default {default})",
    "refused_v1_kernels": "{name} is refused: these kernels are part of LLaMA-Factory's own experimental trainer and "
    "of no library; enable_liger_kernel is the like: remove it (default {default})",
    "choice_not_available_yet": "{name} = {value} is not available yet: choose {available}",
    "does_not_apply_to_stage": "{name} does not apply to stage {stage}: remove it or choose stage {stages}",
    "has_no_effect": "{name} has no effect unless {condition_name} is {condition_values}",
    "has_no_effect_with": "{name} has no effect where {condition_name} is {condition_values}",
    # data
    "no_model": "model_name_or_path is not set: name the model to tune",
    "no_dataset": "dataset is empty but do_train is on: name the data to train on",
    "nothing_to_do": "do_train, do_eval and do_predict are all off: nothing would happen; turn one on",
    "val_size_without_dataset": "val_size holds back rows of dataset, which is empty: set dataset or val_size = 0",
    "val_size_and_eval_dataset": "val_size and eval_dataset both say what to evaluate on: set val_size = 0 or remove "
    "eval_dataset",
    "val_size_not_whole": "val_size = {value} is a number of rows and must be whole; for a share choose one below 1",
    "evaluation_without_data": "{asked} evaluates, but there is nothing to evaluate on: set eval_dataset or val_size",
    "evaluation_data_unused": "{given} gives evaluation rows, but eval_strategy is no: they would never be used; "
    "set eval_strategy = steps",
    "evaluation_on_training_rows": "{names} stands in dataset and in eval_dataset: the evaluation would praise "
    "what was learned by heart",
    "interleave_probs_without_interleave": "interleave_probs needs an interleaving mix_strategy, not {strategy}: "
    "choose interleave_under or remove interleave_probs",
    "interleave_probs_count": "interleave_probs has {count} entries and dataset has {datasets}: give one for each",
    "interleave_probs_values": "interleave_probs must be above 0 and add up to 1, they add up to {total}",
    "streaming_val_size": "streaming needs a whole number of rows in val_size, not the share {value}: choose 1 or more",
    "streaming_max_steps": "streaming does not know how many rows come: set max_steps",
    "streaming_max_samples": "max_samples does not work with streaming: limit the run by max_steps instead",
    "streaming_tokenized_path": "streaming keeps no prepared rows: turn streaming off or remove tokenized_path",
    "streaming_epochs": "{name} = epoch has no meaning with streaming, which does not know where an epoch ends: set "
    "{name} = steps",
    "streaming_each_dataset": "with streaming the rows of val_size are not told apart by data set: name eval_dataset, "
    "or turn eval_on_each_dataset off",
    "streaming_stops_at_bad_row": "with streaming a bad row is found while training, and on_bad_row = stop ends the "
    "run there: check the data before (`trimtab data check`), or set on_bad_row = skip",
    "mask_history_and_train_on_prompt": "mask_history learns less and train_on_prompt more of each row: choose one",
    "neat_packing_without_packing": "neat_packing packs, but packing is off: turn packing on or neat_packing off",
    "packing_in_stage": "packing puts several rows into one sequence, which stage {stage} cannot do: remove it",
    "packing_and_padding_free": "packing lets the rows of a sequence see each other, padding_free does not: turn "
    "neat_packing on, or one of them off",
    "padding_is_not_learned": "{name} has hardly any padding, and none of it is learned: leave "
    "ignore_pad_token_for_loss on",
    "long_rows_are_cut_up": "packing in stage pt cuts long rows into several sequences and loses nothing: on_long_row "
    "= {value} has no effect",
    "padding_free_without_flash": "padding_free with flash_attn = {attention} computes every row of a batch against "
    "every other and throws most of it away: use neat_packing, or flash attention",
    "each_dataset_without_evaluation": "eval_on_each_dataset has nothing to evaluate on: set eval_dataset or val_size",
    "tool_format_without_template": "tool_format = {value} has no effect without template: the tokenizer's own "
    "template writes tools in its own way",
    "predict_without_generate": "do_predict writes generated answers: turn predict_with_generate on",
    "predict_in_stage": "do_predict has nothing to predict in stage {stage}, only in sft and rm: turn it off",
    "predict_with_generate_and_train_on_prompt": "train_on_prompt labels the prompts as well, so that "
    "predict_with_generate cannot tell where the answers begin: choose one",
    "predict_with_generate_unused": "predict_with_generate goes with an evaluation, and none is planned: set "
    "eval_strategy, do_eval or do_predict",
    "score_without_answers": "metric_for_best_model = {metric} scores generated answers: turn predict_with_generate on",
    "predict_with_generate_and_zero3": "predict_with_generate does not work under DeepSpeed ZeRO-3: turn it off",
    "image_pixels": "image_min_pixels = {low} is above image_max_pixels = {high}: swap them",
    "video_pixels": "video_min_pixels = {low} is above video_max_pixels = {high}: swap them",
    # loading
    "flash_attention_without_gpu": "flash_attn = {attention} needs an NVIDIA GPU, which is not there: use auto",
    "flash_attention_in_float32": "flash_attn = {attention} computes in 16 bits only, and bf16 and fp16 are off: turn "
    "one on, or use auto",
    "shift_attn_and_flash_attn": "shift_attn brings its own attention, upon sdpa, and flash_attn = {attention} asks "
    "for another: use auto",
    "liger_without_gpu": "enable_liger_kernel needs an NVIDIA GPU, which is not there: turn it off",
    "unsloth_needs_older_trl": "use_unsloth: unsloth replaces the trainers of TRL 1.15 and older, trimtab trains with "
    "TRL 1.16 and newer; turn it off. enable_liger_kernel and use_unsloth_gc give part of what it saves",
    "offload_without_checkpointing": "use_unsloth_gc moves what gradient checkpointing stores, and that is off: turn "
    "it on, or use_unsloth_gc off",
    "package_missing": "{name} = {value} needs the package {package}, which is not installed: {how}",
    "mixture_of_depths_is_broken": "mixture_of_depths needs the package mixture-of-depth, whose last version does not "
    "work with transformers 5: remove it",
    "low_cpu_mem_usage_always": "low_cpu_mem_usage = false: transformers 5 has no other way to load weights; remove it",
    "eetq_is_downloaded_code": "quantization_method eetq: transformers downloads its code from the hub and runs it, "
    "which trimtab does not allow; use bnb with 8 bits",
    "from_scratch_needs_full": "train_from_scratch starts from random weights, and finetuning_type {method} would "
    "leave most of them so: choose full",
    "upcast_in_float32": "{name} has no effect: everything is computed in float32 already",
    # method
    "quantization_needs_adapter": "quantization_bit works only with adapters, such as finetuning_type lora, not "
    "{method}: choose lora or remove quantization_bit",
    "quantization_and_pissa": "pissa_init takes the weights apart and cannot do so with quantization_bit: turn one off",
    "quantization_and_adapters": "with quantization_bit only one adapter can be used, adapter_name_or_path names "
    "{count}: merge them first, or remove quantization_bit",
    "quantization_and_new_adapter": "create_new_adapter merges the adapter first, which quantization_bit forbids: "
    "remove one",
    "quantization_bits": "quantization_method {method} takes {allowed} bits, not {name} = {bits}",
    "quantization_and_sharding": "{what} does not work under {sharding}: use bnb with 4 bits, or no sharding",
    "quantization_device_map_in_training": "quantization_device_map = auto is for chat, not do_train: remove it",
    "quantization_and_fp8": "fp8 and quantization_bit exclude each other: turn one off",
    "pure_bf16_and_upcast": "{upcast} asks for float32, pure_bf16 for bfloat16 alone: turn one off",
    "adapter_without_adapter_method": "adapter_name_or_path needs a finetuning_type with an adapter, such as lora, not "
    "{method}: merge the adapter into the model first, or remove it",
    "new_adapter_without_adapter": "create_new_adapter puts a new adapter upon those of adapter_name_or_path, which is "
    "empty: remove create_new_adapter",
    "needs_lora": "{name} is a kind of LoRA and needs finetuning_type lora, not {method}: change one",
    "optimizers_exclusive": "{first} and {second} exclude each other: turn one off",
    "optimizer_needs_whole_weights": "{optimizer} trains all weights and excludes finetuning_type {method}: choose "
    "full, or turn it off",
    "layerwise_and_several_gpus": "{layerwise} updates on one GPU only, and there are {gpus}: turn it off, or show one "
    "GPU with CUDA_VISIBLE_DEVICES",
    "layerwise_and_accumulation": "{layerwise} updates at once and cannot wait for gradient_accumulation_steps = "
    "{steps}: set it to 1",
    "layerwise_and_fp16": "{layerwise} updates in the backward pass, where the gradients of fp16 are still scaled: "
    "turn fp16 off",
    "badam_and_several_gpus": "use_badam with badam_mode {mode} needs one GPU, or ZeRO-3 in mode layer, "
    "and there are {gpus}: show one with CUDA_VISIBLE_DEVICES",
    "optimizer_and_deepspeed": "{optimizer} does not work with deepspeed: turn one off",
    "pissa_and_stage": "pissa_init changes the base weights, which stage {stage} needs as they were: turn it off",
    "pissa_and_reference_model": "pissa_init changes the base weights, which ref_model needs as they were: remove one",
    "pissa_and_zero3": "pissa_init does not work under DeepSpeed ZeRO-3: turn it off or use ZeRO-2",
    "llama_pro_and_full": "use_llama_pro trains added blocks alone, finetuning_type full everything: choose freeze or "
    "lora",
    "pure_bf16_without_hardware": "pure_bf16 needs a GPU with bfloat16 (Ampere or newer): turn it off",
    "pure_bf16_and_zero3": "pure_bf16 does not work under DeepSpeed ZeRO-3: turn it off or use bf16",
    "pure_bf16_and_mixed": "{mixed} is mixed precision and pure_bf16 is not mixed: turn one off",
    "unsloth_and_zero3": "use_unsloth does not work under DeepSpeed ZeRO-3: turn it off",
    "losses_exclusive": "{first} and {second} both replace the loss: turn one off",
    "engines_exclusive": "{first} and {second} both replace the training engine: turn one off",
    "oft_rank_or_block": "oft_rank = {rank} and oft_block_size = {size}: exactly one of them must be 0",
    # vocabulary
    "no_slow_tokenizer": "use_fast_tokenizer = false: transformers 5 has no tokenizers written in Python any more and "
    "would take the one written in Rust all the same; leave use_fast_tokenizer on",
    "new_token_empty": "{name} holds an empty text, which cannot be a token: remove it",
    "new_token_twice": "the new token {token} is named twice: name it once, as an ordinary token or as a special one",
    "descriptions_missing": "init_special_tokens = {way} starts from descriptions, and there are none: set "
    "new_special_tokens_config, or choose noise_init",
    "descriptions_unused": "the descriptions of new_special_tokens_config are not used with init_special_tokens = "
    "noise_init: choose desc_init",
    "quantization_and_resize_vocab": "{growing} grows the embeddings, which is known to work with quantization_method "
    "bnb alone, not with {method}: choose bnb",
    "adapter_and_new_tokens": "{growing} needs new embeddings, and {method} cannot train single rows of them: choose "
    "lora, or name embed_tokens and lm_head in additional_target",
    "lora_on_embeddings_with_rows": "{name} trains rows of the embeddings, which cannot have a LoRA matrix too: take "
    "them out of lora_target, or name them in additional_target",
    "rows_in_whole_matrix": "additional_target trains embed_tokens as a whole, so that trainable_tokens adds nothing: "
    "remove one",
    # adapters
    "adapter_setting_unknown": "adapter_kwargs: PEFT's {method} has no setting {name}: did you mean {detail}?",
    "adapter_setting_parameter": "adapter_kwargs: {name} of {method} is the parameter {detail}: set that one",
    "adapter_setting_type": "adapter_kwargs: {name} does not fit {method}: expected {detail}",
    "adapter_setting_refused": "adapter_kwargs: {name} cannot be given to {method}: {detail}",
    "adalora_ranks": "adalora begins with rank init_r = {begin} and ends with lora_rank = {end}: the first must not be "
    "the smaller one",
    "quantization_and_method": "finetuning_type {method} does not work with quantization_bit: choose lora, or remove "
    "quantization_bit",
    "dora_in_8_bits_on_processor": "use_dora does not work with quantization_bit 8 on a CPU: turn it off, or use 4 "
    "bits",
    "loftq_without_quantization": "loftq_init makes good for what 4-bit bitsandbytes weights lost, and needs "
    "quantization_bit 4 with quantization_method bnb: turn it off",
    "loftq_and_other": "loftq_init and {other} exclude each other: turn one off",
    "start_and_adapter": "{name} starts a new adapter, and adapter_name_or_path goes on with a trained one: turn it "
    "off, or set create_new_adapter",
    "pissa_and_asft": "pissa_init changes the base weights, which use_asft_loss needs as they were: turn one off",
    "prompts_and_packing": "finetuning_type {method} puts vectors in front of every row, which {name} does not allow: "
    "turn it off",
    "prompts_and_stage": "finetuning_type {method} works in the stages pt and sft, not {stage}: choose lora",
    "prefixes_and_checkpointing": "finetuning_type prefix_tuning does not work with gradient_checkpointing: turn it "
    "off",
    # stages
    "no_reward": "stage {stage} needs a reward: name a reward_model or some of reward_funcs",
    "ppo_reward_adapter": "reward_model_type lora puts the reward adapter upon the same base, which needs "
    "finetuning_type lora, not {method}: change one",
    "reward_service_address": "reward_model_type is api, but reward_model = {value} is no address: write http:// or "
    "https:// and where the service listens",
    "reward_function_unknown": "there is no reward function {name}: choose among {known}",
    "reward_pattern": "{name} = {value} is no regular expression ({problem}): mend or remove it",
    "reward_setting_missing": "the reward function {name} needs {setting}: set it",
    "reward_setting_unused": "{setting} is set, but {name} is not among reward_funcs: add it",
    "reward_weights_count": "there are {weights} reward_weights for {count} reward_funcs: give each one or remove them",
    "answers_not_drawn": "stage {stage} learns from different answers to a prompt, and do_sample = false always gives "
    "the same one: turn it on",
    "answers_and_beams": "stage {stage} draws its answers, and a beam search does not: set num_beams = 1",
    "answers_and_repetition": "repetition_penalty draws by other probabilities than those that the losses reckon with: "
    "set it to 1",
    "answers_and_dropout": "lora_dropout changes the probabilities between the draw of an answer and the learning from "
    "it, as if the policy had moved: set it to 0",
    "answers_of_likeliest_tokens": "top_p and top_k leave unlikely tokens out, while the losses reckon with the "
    "probabilities of all: set top_p = 1 and top_k = 0",
    "answers_and_groups": "a step has {answers} answers, which is no multiple of num_generations = {group}: set "
    "gradient_accumulation_steps = {steps}",
    "length_groups_in_stage": "stage {stage} writes its rows itself, so that there are no lengths to group by: turn "
    "group_by_length off",
    "ppo_and_shift_attn": "stage {stage} does not work with shift_attn: turn it off",
    "label_smoothing_without_its_loss": "dpo_label_smoothing works only with pref_loss {allowed}, not {loss}: set it "
    "to 0",
    "loss_needs_label_smoothing": "pref_loss {loss} is made for labels that may be wrong: set dpo_label_smoothing to "
    "the share of them, for instance 0.1",
    "bco_weight_in_loss": "pref_bco_weight adds nothing that pref_loss {loss} could use: set it to 0",
    "loss_unknown_in_mix": "pref_loss_mix names {name}, which is no loss over pairs: choose of {known}",
    "loss_twice_in_mix": "pref_loss_mix adds {name}, which is there already: name each loss once and set its weight in "
    "pref_loss_weights",
    "loss_weights_count": "there are {weights} pref_loss_weights for {count} losses: give one for pref_loss and for "
    "each of pref_loss_mix, or remove them",
    "loss_weights_value": "pref_loss_weights {weights}: write numbers of 0 or more, one of them above 0, or "
    "remove them",
    "kto_of_single_rows": "kto compares the answers of a batch, and per_device_train_batch_size = 1 leaves it one: set "
    "2 or more",
    "loss_of_single_rows": "pref_loss {loss} sorts the pairs of a batch; per_device_train_batch_size = 1 makes it "
    "plain sigmoid: set 2 or more",
    "kto_weight_zero": "{name} = 0 leaves one kind of answers out: kto learns from both",
    "streaming_in_stage": "stage {stage} goes through its prompts by number, which a stream does not have: turn "
    "streaming off",
    "streaming_precompute": "precompute_ref_log_probs asks the reference for every row before the first step, and a "
    "stream has not read them then: turn one of them off",
    "reference_not_needed": "pref_loss {loss} uses no reference model: remove {name}",
    "simpo_gamma_without_simpo": "simpo_gamma works only with pref_loss simpo, not {loss}: remove it",
    "reference_parts_without_model": "{name} belongs to ref_model, which is not set: set ref_model or remove it",
    "reward_parts_without_model": "{name} belongs to reward_model, which is not set: set reward_model or remove it",
    # training
    "best_model_strategies": "load_best_model_at_end needs eval_strategy ({evaluation}) and save_strategy ({saving}) "
    "to be the same: set eval_strategy = {proposed}",
    "best_model_steps": "load_best_model_at_end needs save_steps ({saving}) to be a multiple of eval_steps "
    "({evaluation}): set save_steps = {proposed}",
    "best_metric_unknown": "metric_for_best_model = {metric} is no figure of an evaluation in stage {stage}: choose "
    "{known}",
    "best_metric_needs_accuracy": "metric_for_best_model = {metric} is there only with compute_accuracy: turn it on",
    "best_without_evaluation": "{asked} needs evaluations, but eval_strategy is no: set eval_strategy = steps",
    "bf16_and_fp16": "bf16 and fp16 exclude each other: turn one off",
    "bf16_without_hardware": "bf16 is on, but the GPU has no bfloat16: use fp16",
    "bf16_on_processor": "bf16 is on without a GPU: most processors compute it slower than float32; leave it unset",
    "fp16_without_hardware": "fp16 is on, but there is no NVIDIA GPU: turn it off",
    "fp16_suggested": "the GPU has no bfloat16, so that bf16 stays off: fp16 would be about twice as fast as float32",
    "tf32_without_hardware": "tf32 needs a GPU of the Ampere kind or newer: remove it",
    "optimizer_without_hardware": "optim = {optim} needs {needed}, which is not there: use adamw_torch",
    "optimizer_without_package": "optim = {optim} needs {package}, which has no release for today's PyTorch: use "
    "adamw_torch",
    "optimizer_forgets": "optim = {optim} keeps its state where no checkpoint finds it: a resumed run starts it anew",
    "optimizer_base": "{used} works with optim = {allowed}, not with {optim}: choose one of them",
    "optimizer_replaced": "{used} is the optimizer, so that optim = {optim} is not used: leave it at adamw_torch",
    "optimizer_args_not_read": "{used} has settings of its own and does not read optim_args: remove it",
    "optimizer_args_value": "{optim} does not know {value} of optim_args: write {expected}",
    "optimizer_args_form": "optim_args = {value} is no list of settings: write name=value,name=value",
    "optimizer_does_not_read": "optim = {optim} has no {name}: it is not used",
    "optimizer_needs_targets": "optim = {optim} needs optim_target_modules in [trainer]: set it to the layers, or use "
    "adamw_torch",
    "max_steps_zero": "max_steps = 0 trains nothing: set a number of steps, or -1 to go by num_train_epochs",
    "warmup_longer_than_run": "warmup_steps = {warmup} is not shorter than max_steps = {steps}: the learning rate "
    "would never be reached; set warmup_steps = {proposed}",
    "warmup_given_twice": "warmup_steps = {steps} goes before warmup_ratio = {ratio}: set one of them to 0",
    "schedule_without_warmup": "lr_scheduler_type {schedule} has no warmup, {name} is ignored: "
    "constant_with_warmup has one",
    "schedule_needs_minimum": "lr_scheduler_type {schedule} needs min_lr or min_lr_rate in lr_scheduler_kwargs",
    "schedule_needs_evaluation": "lr_scheduler_type {schedule} follows the evaluations, but eval_strategy is no: set "
    "eval_strategy = steps",
    "grouping_and_order": "group_by_length puts the rows in another order, disable_shuffling leaves it: turn one off",
    "grouping_without_padding": "with {name} there is nothing to group by length: group_by_length has no effect",
    "learning_rate_high": "learning_rate = {value} is far above what trains well: 1e-5 to 1e-3 is usual",
    "gradient_checkpointing_twice": "gradient_checkpointing is on and disable_gradient_checkpointing too: remove one",
    "run_is_never_overwritten": "overwrite_output_dir: a run is never overwritten here; remove it and choose another "
    "run_name, or resume the run",
    "run_name_is_path": "run_name = {value} must be the name of one folder: use output_dir for a path",
    "two_names": "run_name = {name} is not used, because output_dir = {folder} says where the run lies and report_to "
    "is none: remove one",
    "report_to_none_and_others": "report_to names none and {others}: remove none",
    "report_to_unknown": "report_to = {name} is no service that transformers reports to: choose among {known}",
    "report_package_missing": "{name} gets the figures only when its package is there: install it with "
    "`pip install {package}`, or remove it",
    "upload_without_token": "push_to_hub needs a token with the right to write: set the environment variable HF_TOKEN "
    "before the start, or turn it off",
    "deepspeed_and_fsdp": "deepspeed and fsdp both split the model: choose one",
    "fsdp_config_without_fsdp": "fsdp_config does nothing without fsdp: set fsdp or remove it",
    "cannot_resume": "save_only_model keeps no optimizer: a run stopped halfway cannot be resumed",
    "more_workers_than_cores": "dataloader_num_workers = {workers} is more than the {cores} cores here: they would "
    "wait for each other",
    # export
    "export_quantization_without_dataset": "export_quantization_bit needs export_quantization_dataset to measure with: "
    "name one",
    "export_adapter_and_quantization": "export_quantization_bit cannot merge adapter_name_or_path in one go: first "
    "export without it, then quantize the merged model",
}
