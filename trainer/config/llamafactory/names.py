"""Names in LLaMA-Factory's files that are not parameters here: renamed, gone, or of engines that trimtab has not.

Facts of LLaMA-Factory 0.6 to 0.9.6 and of transformers 4.40 to 5. Not for names that mean the same here.
"""

from __future__ import annotations

from collections.abc import Mapping

RENAMED: Mapping[str, str] = {
    "num_layer_trainable": "freeze.freeze_trainable_layers",
    "name_module_trainable": "freeze.freeze_trainable_modules",
    "checkpoint_dir": "model.adapter_name_or_path",
    "cache_path": "data.tokenized_path",
    "lora_bf16_mode": "method.pure_bf16",
    "dpo_beta": "preference.pref_beta",
    "kto_beta": "preference.pref_beta",
    "orpo_beta": "preference.pref_beta",
    "dpo_loss": "preference.pref_loss",
    "dpo_ftx": "preference.pref_ftx",
    "kto_ftx": "preference.pref_ftx",
    "per_gpu_train_batch_size": "train.per_device_train_batch_size",
    "per_gpu_eval_batch_size": "train.per_device_eval_batch_size",
    "push_to_hub_model_id": "train.hub_model_id",
}
"""Names of older versions, and the dotted key that they mean; those of `spellings` are not repeated here."""

GONE = frozenset(
    {
        "dispatch_batches",
        "fp16_backend",
        "fp16_opt_level",
        "fsdp_min_num_params",
        "fsdp_transformer_layer_cls_to_wrap",
        "half_precision_backend",
        "include_inputs_for_metrics",
        "include_tokens_per_second",
        "jit_mode_eval",
        "logging_dir",
        "mp_parameters",
        "no_cuda",
        "past_index",
        "push_to_hub_organization",
        "ray_scope",
        "reserved_label_len",
        "save_safetensors",
        "split",
        "split_batches",
        "torchdynamo",
        "tpu_metrics_debug",
        "tpu_num_cores",
        "use_ipex",
        "use_legacy_prediction_loop",
        "use_mps_device",
        "visual_inputs",
    }
)
"""Settings that today's LLaMA-Factory and transformers do not have any more."""

FIXED = frozenset(
    {
        "label_names",
        "generation_max_length",
        "generation_num_beams",
        "generation_config",
        "sortish_sampler",
        "use_cpu",
        "ddp_backend",
    }
)
"""Settings that trimtab makes itself, beside those of `passthrough`."""

FOREIGN: Mapping[str, str] = {
    "use_kt": "KTransformers",
    "kt_config": "KTransformers",
    "kt_cpu_activation": "KTransformers",
    "kt_weight_path": "KTransformers",
    "kt_non_expert_weight_path": "KTransformers",
    "kt_expert_checkpoint_path": "KTransformers",
    "kt_use_lora_experts": "KTransformers",
    "kt_lora_expert_num": "KTransformers",
    "kt_lora_expert_intermediate_size": "KTransformers",
    "kt_optimize_rule": "KTransformers",
    "cpu_infer": "KTransformers",
    "chunk_size": "KTransformers",
    "kt_maxlen": "KTransformers",
    "kt_use_cuda_graph": "KTransformers",
    "kt_mode": "KTransformers",
    "kt_force_think": "KTransformers",
    "tensor_model_parallel_size": "Megatron",
    "pipeline_model_parallel_size": "Megatron",
    "expert_model_parallel_size": "Megatron",
    "context_parallel_size": "Megatron",
    "context_model_parallel_size": "Megatron",
    "virtual_pipeline_model_parallel_size": "Megatron",
    "sequence_parallel": "Megatron",
    "recompute_granularity": "Megatron",
    "recompute_method": "Megatron",
    "recompute_num_layers": "Megatron",
    "moe_grouped_gemm": "Megatron",
    "moe_token_dispatcher_type": "Megatron",
    "bias_activation_fusion": "Megatron",
    "apply_rope_fusion": "Megatron",
    "use_distributed_optimizer": "Megatron",
    "overlap_param_gather": "Megatron",
    "overlap_grad_reduce": "Megatron",
}
"""Settings of engines that trimtab does not train or answer with, and the engine."""

_NAMES: Mapping[str, str] = {
    "model": """
        model_name_or_path adapter_name_or_path adapter_folder cache_dir use_fast_tokenizer resize_vocab
        split_special_tokens add_tokens add_special_tokens new_special_tokens_config init_special_tokens
        model_revision low_cpu_mem_usage rope_scaling flash_attn shift_attn mixture_of_depths use_unsloth
        use_unsloth_gc enable_liger_kernel moe_aux_loss_coef disable_gradient_checkpointing use_reentrant_gc
        upcast_layernorm upcast_lmhead_output train_from_scratch infer_backend offload_folder use_kv_cache
        use_v1_kernels infer_dtype print_param_status trust_remote_code
    """,
    "quantization": """
        quantization_bit quantization_method quantization_type double_quantization quantization_device_map
    """,
    "multimodal": """
        image_max_pixels image_min_pixels image_do_pan_and_scan crop_to_patches video_max_pixels video_min_pixels
        video_fps video_maxlen use_audio_in_video audio_sampling_rate
    """,
    "export": """
        export_dir export_size export_device export_quantization_bit export_quantization_dataset
        export_quantization_nsamples export_quantization_maxlen export_legacy_format export_hub_model_id
    """,
    "inference": """
        vllm_maxlen vllm_gpu_util vllm_enforce_eager vllm_max_lora_rank vllm_config sglang_maxlen
        sglang_mem_fraction sglang_tp_size sglang_config sglang_lora_backend
    """,
    "data": """
        template dataset eval_dataset dataset_dir media_dir cutoff_len train_on_prompt mask_history streaming
        buffer_size mix_strategy interleave_probs overwrite_cache preprocessing_batch_size preprocessing_num_workers
        max_samples eval_num_beams ignore_pad_token_for_loss val_size eval_on_each_dataset packing neat_packing
        tool_format default_system enable_thinking preserve_thinking tokenized_path data_shared_file_system
    """,
    "freeze": """
        freeze_trainable_layers freeze_trainable_modules freeze_extra_modules
    """,
    "lora": """
        lora_rank lora_alpha lora_dropout lora_target additional_target loraplus_lr_ratio loraplus_lr_embedding
        use_rslora use_dora pissa_init pissa_iter pissa_convert create_new_adapter
    """,
    "oft": """
        oft_rank oft_block_size oft_target module_dropout additional_target create_new_adapter
    """,
    "preference": """
        pref_loss pref_beta pref_ftx pref_bco_weight dpo_label_smoothing simpo_gamma ld_alpha kto_chosen_weight
        kto_rejected_weight ref_model ref_model_adapters ref_model_quantization_bit
    """,
    "ppo": """
        reward_model reward_model_type reward_model_adapters reward_model_quantization_bit ppo_buffer_size
        ppo_epochs ppo_target ppo_score_norm ppo_whiten_rewards
    """,
    "galore": """
        use_galore galore_target galore_rank galore_update_interval galore_scale galore_proj_type galore_layerwise
    """,
    "apollo": """
        use_apollo apollo_target apollo_rank apollo_update_interval apollo_scale apollo_proj apollo_proj_type
        apollo_scale_type apollo_layerwise apollo_scale_front
    """,
    "badam": """
        use_badam badam_mode badam_start_block badam_switch_mode badam_switch_interval badam_update_ratio
        badam_mask_mode badam_verbose
    """,
    "swanlab": """
        use_swanlab swanlab_project swanlab_workspace swanlab_run_name swanlab_mode swanlab_logdir
    """,
    "method": """
        stage finetuning_type pure_bf16 use_llama_pro use_adam_mini use_muon use_mca use_megatron_bridge
        megatron_bridge_args use_hyper_parallel hyper_parallel_args hyper_parallel_cp_size use_dft_loss
        use_asft_loss asft_alpha use_eaft_loss eaft_alpha freeze_vision_tower freeze_multi_modal_projector
        freeze_language_model train_mm_proj_only compute_accuracy disable_shuffling early_stopping_steps plot_loss
        include_effective_tokens_per_second
    """,
    "ray": """
        ray_num_workers resources_per_worker placement_strategy ray_run_name ray_storage_path ray_init_kwargs
        master_addr master_port
    """,
    "profiler": """
        enable_torch_profiler profiler_output_dir profiler_wait_steps profiler_warmup_steps profiler_active_steps
        profiler_repeat profiler_record_shapes profiler_profile_memory profiler_with_stack profile_modules
    """,
    "fp8": """
        fp8 fp8_backend fp8_enable_fsdp_float8_all_gather
    """,
    "generation": """
        do_sample temperature top_p top_k num_beams max_length max_new_tokens repetition_penalty length_penalty
        skip_special_tokens
    """,
    "evaluation": """
        task task_dir batch_size seed lang n_shot save_dir download_mode
    """,
    "train": """
        run_name output_dir overwrite_output_dir do_train do_eval do_predict predict_with_generate learning_rate
        num_train_epochs max_steps per_device_train_batch_size gradient_accumulation_steps
        per_device_eval_batch_size lr_scheduler_type lr_scheduler_kwargs warmup_steps warmup_ratio weight_decay
        max_grad_norm optim optim_args adam_beta1 adam_beta2 adam_epsilon neftune_noise_alpha bf16 fp16 tf32
        gradient_checkpointing torch_compile logging_steps eval_strategy eval_steps save_strategy save_steps
        save_total_limit save_only_model load_best_model_at_end metric_for_best_model greater_is_better
        resume_from_checkpoint seed data_seed dataloader_num_workers dataloader_pin_memory group_by_length deepspeed
        fsdp fsdp_config ddp_timeout ddp_find_unused_parameters report_to push_to_hub hub_model_id
        include_num_input_tokens_seen
    """,
}
KNOWN_THERE: Mapping[str, frozenset[str]] = {table: frozenset(names.split()) for table, names in _NAMES.items()}
"""The names of our tables that LLaMA-Factory has too. A parameter that is not here is ours alone."""
