"""What a run tells its user: the English texts, with an id and values so that the screens can say it in Chinese.

The Chinese texts are in the catalogue under `findings.<id>`, with the same placeholders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from trainer.config import Severity

RUN_TEXTS: dict[str, str] = {
    "run_parameters": "{trainable} of {total} parameters are trained ({percent} %)",
    "run_hub_model": "the model is {model} at state {state}, in {folder}",
    "run_parameters_in_turns": "BAdam chooses what is trained among {trainable} of {total} parameters",
    "run_all_trained": "nothing is frozen",
    "run_trained_parts": "trained: {trained}. Frozen: {frozen}",
    "run_adapter_trained": "{kind} on {names}, in {count} layers; everything else is frozen",
    "run_adapter_and_whole_trained": "{kind} on {names}, in {count} layers; {whole} trained whole; everything else is "
    "frozen",
    "run_prompt_trained": "{kind}: {count} trained vectors in front of every sequence; the model is frozen",
    "run_memory": "memory of a step of {batch} rows of {length} tokens, estimated: {total} (weights {weights}, "
    "gradients {gradients}, optimizer {optimizer}, activations {activations}, everything else {rest})",
    "run_memory_peak": "most memory at once: {measured}",
    "run_memory_peak_estimated": "most memory at once: {measured}; estimated were {estimated}",
    "run_on_gpu": "training on {name}",
    "run_on_cpu": "training on the CPU, threads: {threads}",
    "run_one_gpu": "GPU 0 of {count} is used: training on several is not available yet. "
    "Set CUDA_VISIBLE_DEVICES before the start to choose another.",
    "run_attention_asked": "attention: {name}, as flash_attn = {value} says",
    "run_attention_flash": "attention: FlashAttention 2, because {package} is installed and GPU, model and number "
    "format suit it",
    "run_attention_sdpa_gpu": "attention: PyTorch's fused one (sdpa); FlashAttention needs an NVIDIA GPU (Ampere or "
    "newer)",
    "run_attention_sdpa_package": "attention: PyTorch's fused one (sdpa); the package {package} is not installed",
    "run_attention_sdpa_model": "attention: PyTorch's fused one (sdpa); this model cannot be computed with "
    "FlashAttention",
    "run_attention_sdpa_precision": "attention: PyTorch's fused one (sdpa); FlashAttention computes in 16 bits only",
    "run_attention_plain": "attention: the plain one (eager); {model} has no fused form",
    "run_attention_shifted": "attention: shifted sparse (shift_attn) in training, full in evaluation and samples",
    "run_quantized": "the base model is quantized ({how}); arithmetic in {dtype}",
    "run_model_is_quantized": "the base model comes quantized ({method})",
    "run_model_is_unpacked": "the base model comes quantized ({method}); it is unpacked, because its own arithmetic "
    "has no gradients",
    "run_from_scratch": "training starts from random weights (train_from_scratch)",
    "run_liger": "Liger kernels in the place of the model's own",
    "run_rope": "positions stretched by {kind}, {factor} times: from {longest} tokens, for cutoff_len = {length}",
    "run_rope_not_needed": "rope_scaling is not used: cutoff_len = {length} is within the {longest} tokens that the "
    "model was made for",
    "run_rope_dynamic": "rope_scaling = dynamic stretches by the longest row of each batch: rows are computed a little "
    "differently in other company, and a resumed run is not the same to the bit. yarn has neither trouble",
    "run_rope_of_adapter": "positions stretched as adapter {path} was trained with them",
    "run_disk_full": "no space left in {folder}: checkpoint {step} was not saved and nothing older was touched. "
    "Free some space; it is tried again at the next save, and before the run ends.",
    "run_loss_not_finite": "the loss is not finite at step {step}: this update was left out",
    "run_gradient_not_finite": "the gradient norm is not finite at step {step}: this update was left out",
    "run_weights_left_out": "gradients are not finite at step {step}: {count} weights were left as they are; those "
    "whose gradient came before had been updated already",
    "run_gave_up": "loss or gradients were not finite for {count} steps in a row, the last at step {step}. "
    "The weights are those from before. Lower the learning rate or look at the data, then resume",
    "run_no_samples": "the sample prompts could not be answered: {error}",
    "run_no_answers": "the evaluation's answers could not be generated, and have no scores: {error}",
    "run_smaller_answers": "out of memory while generating {rows} answers at once: going on with {size} at once",
    "run_predicted": "the predictions for {rows} rows are in {path}; {scores}",
    "run_result_not_evaluated": "the evaluation after the training failed, and the weights are saved: {error}",
    "run_evaluation_given_up": "the evaluation after the training was given up ({reason}); the weights are saved",
    "run_only_evaluated": "evaluated without training, as do_train = false says",
    "run_evaluation_stopped": "stopped ({reason}) before the evaluation was complete",
    "run_damaged_left_out": "{names} left out: {reason}",
    "run_nothing_left_to_do": "all {step} steps were done before",
    "run_adapter_settings_hold": "the settings of adapter {path} hold, not those of the recipe: {settings}",
    "run_vocabulary_grown": "new tokens: {count} ({tokens}). The embeddings grow from {before} to {after} rows",
    "run_vocabulary_had_room": "new tokens: {count} ({tokens}). They take rows that the embeddings had to spare: "
    "there are {before}",
    "run_tokens_known": "in the vocabulary already, with a row of their own: {tokens}",
    "run_new_rows_alone": "of the embeddings, {count} new rows are trained, and saved with the adapter",
    "run_new_rows_in_matrix": "the embeddings are trained as a whole, with {count} new rows",
    "run_tokens_without_rows": "the tokenizer has ids up to {needed}, the embeddings have {rows} rows: a batch with a "
    "token beyond them cannot be computed. Set resize_vocab = true to give them rows",
    "run_updates_in_backward": "each weight is updated as soon as its gradient is there: max_grad_norm shortens each "
    "gradient by itself, and the norm that is shown is that of all of them",
    "run_badam_layers": "BAdam: the {layers} layers take turns, {steps} steps each (-1: one for good); what lies "
    "outside of them, such as embeddings and output layer, stays as it is",
    "run_badam_shares": "BAdam: {percent} % of each weight at a time, other places every {steps} steps; embeddings and "
    "output layer stay as they are",
    "run_decay_steps": "warmup_stable_decay: the learning rate falls over the last {steps} steps; num_decay_steps in "
    "lr_scheduler_kwargs sets another number",
    "run_loss_of_tokens": "the loss is that of {name}; evaluations give the mean negative log-likelihood all the same, "
    "so that runs can be compared",
    "run_muon_parts": "Muon trains {matrices} parameters, AdamW the other {others} (embeddings, output layer, norms)",
    "run_loraplus_rates": "LoRA+: learning rate {rate} for matrix A, {other} for B",
    "run_rewards": "the reward is {what}",
    "run_rewards_alike": "all answers of the first {count} buffers got the same reward ({reward}), and nothing is "
    "learned from that: look at the samples, then mend the reward, or raise temperature so that answers differ",
    "run_reference_base": "the reference is the model without its adapter",
    "run_reference_copy": "the reference is the model as it is now; the copy of what is trained takes {size} MiB",
    "run_reference_model": "the reference is {name}, a model of its own",
    "run_reference_precomputed": "the reference is asked for everything before the first step, and then forgotten",
    "run_reference_rows_changed": "the rows are not those that the reference model was asked about before: it is asked "
    "again",
    "run_kto_streamed": "how many good and bad answers a stream has is not known before: the weights are not checked",
    "run_kto_balanced": "{good} good and {bad} bad answers: with these weights both kinds count about the same",
    "run_kto_unbalanced": "{good} good and {bad} bad answers: one kind outweighs the other; "
    "set {name} = {weight} to balance them",
    "run_trace_written": "the profiler's trace up to step {step} is in {path}: open it with chrome://tracing or "
    "ui.perfetto.dev",
    "run_modules_timed": "modules timed: {count}; the table is in {path}",
    "run_no_trace": "what the profiler recorded could not be written: {error}",
    "run_report_failed": "{name} failed and gets nothing more from this run: {error}",
    "run_loss_picture": "the loss curve is in {path}",
    "run_no_loss_picture": "the picture of the loss curve could not be written: {error}",
    "run_uploaded": "the result was uploaded to {name}: {address}",
    "run_upload_failed": "the result could not be uploaded to {name}, and is safe in {path}: {error}",
    "run_ends_with_best": "all {step} steps; the best evaluation was at step {best}, and its checkpoint is the result",
    "run_all_steps": "all {step} steps",
    "run_all_steps_best": "all {step} steps, best evaluation at step {best}",
    "run_early": "stopped early at step {step}: no better evaluation came since step {best}",
    "run_stopped_saved": "stopped ({reason}), saved at step {step}",
    "run_stopped_unsaved": "stopped ({reason}), not saved since step {step}",
    "run_pipeline_part_gone": "part {part} needs what part {needed} made, and the run of {needed} is not there: "
    "`trimtab resume {name}` trains it again",
    "run_refused": "{problem}",
    "run_crashed": "{error}. The traceback is in {log}",
}


@dataclass(frozen=True)
class Words:
    """A text with what it was made from."""

    id: str
    text: str
    values: dict[str, object] = field(default_factory=dict)


Say = Callable[[Severity, Words], object]
"""Tells the user something: a session of a run writes it into the events, an estimate keeps it to itself."""


def silent(severity: Severity, said: Words) -> None:
    """A `Say` for those who only look: nothing is told."""


def words(name: str, /, **values: object) -> Words:
    """The text of this name, filled in."""
    return Words(name, RUN_TEXTS[name].format(**values), values)
