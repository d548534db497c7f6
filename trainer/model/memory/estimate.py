"""Will it fit? The memory of a training step for a recipe, by part, from the model's configuration alone.

A step is simulated on fake tensors for two small numbers of layers and extended to all of them, because layers are
alike: under two seconds for any size. Not for what is free on this machine (`trainer.estimate`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trainer.config import Recipe
from trainer.config.form import ADAPTER_METHODS, IN_ANSWERING
from trainer.data.adapter_folder import with_found_adapters
from trainer.errors import UserError
from trainer.model.load import compute_dtype
from trainer.model.memory.batch import Batch, batch_of
from trainer.model.memory.blueprint import layer_count, layer_kinds, read_config, with_layers
from trainer.model.memory.closed_form import closed_form
from trainer.model.memory.device import overhead
from trainer.model.memory.simulate import StepMemory, simulate
from trainer.model.memory.stage_loss import keeps_reference, reference_is_base

_FEWEST_LAYERS = 2
# What answers to sample prompts take: a prompt of this many tokens, and as many new ones as `trainer.engine.samples`
# lets the model write.
_SAMPLE_TOKENS = 256 + 128


@dataclass(frozen=True)
class MemoryEstimate:
    """What a training step needs on one device; all in bytes."""

    frozen_weights: int
    trained_weights: int
    gradients: int
    optimizer: int
    activations: int
    """Activations that are kept for the backward pass."""
    logits: int
    """Logits, loss and other passing copies: what does not grow with the number of layers."""
    update: int
    """What the optimizer's step needs beyond the room that forward and backward left free."""
    evaluation: int
    """What an evaluation needs beyond all that: larger batches, the cache of answers that are written."""
    overhead: int
    """The process or CUDA context, workspaces, and what the allocator cannot use."""
    stored_weights: int
    """Weights in a checkpoint: the adapter alone, or all."""
    stored_optimizer: int
    """Optimizer state in a checkpoint; 0 with `save_only_model`."""
    batch: int
    length: int
    """Tokens of the longest row."""
    layers: int
    stage: str = "sft"
    """The estimates of ppo, grpo and rloo have not been compared with real steps."""
    is_formula: bool = False
    """The model cannot be simulated: activations are a formula's guess."""

    @property
    def tensors(self) -> int:
        """The peak that PyTorch itself would report."""
        return self.total - self.overhead

    @property
    def total(self) -> int:
        """All parts together."""
        state = self.frozen_weights + self.trained_weights + self.gradients + self.optimizer
        return state + self.activations + self.logits + self.update + self.evaluation + self.overhead

    @property
    def checkpoint(self) -> int:
        """Bytes of one checkpoint."""
        return self.stored_weights + self.stored_optimizer


def estimate_memory(
    recipe: Recipe, *, is_gpu: bool, length: int | None = None, download: bool = False
) -> MemoryEstimate:
    """The memory of a training step of a resolved recipe; `length` is the longest row, `cutoff_len` unless known.

    `download`: the configuration of a model of a hub, and its adapters, may be fetched.

    Raises:
        UserError: when the configuration cannot be read, or the method does not fit this model.
    """
    recipe = with_found_adapters(recipe, download=download)
    config = read_config(recipe, download=download)
    batch, evaluated = _batches(recipe, length, is_gpu=is_gpu)
    checkpointing = bool(recipe.train.gradient_checkpointing)

    def measured(kinds: list[str]) -> StepMemory:
        shape = with_layers(config, kinds)
        return simulate(recipe, shape, batch=batch, checkpointing=checkpointing, is_gpu=is_gpu, evaluated=evaluated)

    kinds = layer_kinds(config)
    few = _fewest_layers(recipe, config, kinds)
    try:
        whole, in_layers = _of_all_layers(measured, kinds, few)
        is_formula = False
    except (RuntimeError, TypeError, AttributeError, LookupError, ValueError, OSError):
        # Some operations have no fake form: kernels for one device, ways through the model that depend on values.
        whole, in_layers = closed_form(recipe, config, batch=batch, checkpointing=checkpointing, is_gpu=is_gpu), 0
        is_formula = True
    return _by_part(recipe, config, whole, in_layers, batch, is_gpu=is_gpu, is_formula=is_formula)


def _of_all_layers(
    measured: Callable[[list[str]], StepMemory], kinds: list[str], few: list[str]
) -> tuple[StepMemory, int]:
    """The memory of all layers from that of `few` and of one more of each kind; and what of it grows with them."""
    if len(few) >= len(kinds):
        return measured(kinds), 0
    bottom = measured(few)
    whole, grown = bottom, 0
    for kind in dict.fromkeys(kinds):
        missing = kinds.count(kind) - few.count(kind)
        # In front, so that the layers that `freeze` trains stay the last ones.
        more = measured([kind, *few])
        whole = whole.plus(bottom, more, missing)
        grown += kinds.count(kind) * (more.passing - bottom.passing)
    return whole, min(whole.passing, max(0, grown))


def _by_part(
    recipe: Recipe, config: Any, whole: StepMemory, in_layers: int, batch: Batch, *, is_gpu: bool, is_formula: bool
) -> MemoryEstimate:
    whole = _with_reference(whole, recipe)
    passing = whole.passing
    step = max(whole.state + passing, whole.update)
    answering = 0
    if held := _answered_tokens(recipe, batch.length):
        answering = whole.state - whole.gradients + held * _cache_bytes(config, compute_dtype(recipe).itemsize)
    peak = max(step, whole.evaluation, answering)
    is_adapter = recipe.method.finetuning_type in ADAPTER_METHODS
    return MemoryEstimate(
        frozen_weights=whole.frozen_weights,
        trained_weights=whole.trained_weights,
        gradients=whole.gradients,
        optimizer=whole.optimizer,
        activations=in_layers,
        logits=passing - in_layers,
        update=step - whole.state - passing,
        evaluation=peak - step,
        overhead=overhead(peak, is_gpu=is_gpu),
        stored_weights=whole.trained_weights + (0 if is_adapter else whole.frozen_weights),
        stored_optimizer=0 if recipe.train.save_only_model else whole.stored_optimizer,
        batch=batch.rows,
        length=batch.length,
        layers=layer_count(config),
        stage=str(recipe.method.stage),
        is_formula=is_formula,
    )


def _with_reference(whole: StepMemory, recipe: Recipe) -> StepMemory:
    """The same with the model that the trained one is held to, where it is not the base under an adapter."""
    if not keeps_reference(recipe):
        return whole
    if recipe.preference.ref_model:
        more = whole.frozen_weights + whole.trained_weights  # taken to be as large as the one that is trained
    else:
        more = 0 if reference_is_base(recipe) else whole.trained_weights
    return replace(
        whole,
        frozen_weights=whole.frozen_weights + more,
        passes=whole.passes + more,
        update=whole.update + more,
        evaluation=whole.evaluation + more if whole.evaluation else 0,
    )


def _batches(recipe: Recipe, length: int | None, *, is_gpu: bool) -> tuple[Batch, Batch | None]:
    """The largest micro-batch of the training, and that of the evaluation where it is larger still."""
    data, train = recipe.data, recipe.train
    cutoff = data.cutoff_len
    # Packed sequences are filled up, however short their rows are.
    packed = data.packing or data.neat_packing
    tokens = cutoff if packed else min(length or cutoff, cutoff)
    writes = recipe.method.stage in IN_ANSWERING.values
    if writes:
        # The rows are prompts; what is learned is written to them.
        tokens += recipe.generation.max_new_tokens
    # A pair of answers makes two sequences.
    each = 2 if recipe.method.stage in ("dpo", "rm") else 1
    rows = each * train.per_device_train_batch_size
    evaluated = each * (train.per_device_eval_batch_size or train.per_device_train_batch_size)
    batch = batch_of(recipe, rows=rows, length=tokens, is_gpu=is_gpu)
    if (str(train.eval_strategy) == "no" and not writes) or evaluated <= rows:
        return batch, None
    return batch, batch_of(recipe, rows=evaluated, length=tokens, is_gpu=is_gpu)


def _answered_tokens(recipe: Recipe, longest: int) -> int:
    """Tokens of prompts and answers that are held at once, while answers are written; `longest` of a row."""
    train = recipe.train
    samples = _SAMPLE_TOKENS if train.sample_prompts else 0
    if not train.predict_with_generate:
        return samples
    rows = train.per_device_eval_batch_size or train.per_device_train_batch_size
    beams = recipe.data.eval_num_beams or recipe.generation.num_beams
    return max(samples, rows * beams * (longest + recipe.generation.max_new_tokens))


def _cache_bytes(config: Any, width: int) -> int:
    """Keys and values of one token in all layers."""
    text = config.get_text_config()
    heads = int(getattr(text, "num_key_value_heads", None) or text.num_attention_heads)
    head_dim = int(getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)
    return 2 * layer_count(config) * heads * head_dim * width


def _fewest_layers(recipe: Recipe, config: Any, kinds: list[str]) -> list[str]:
    """The layers of the smallest model that is simulated: each kind is there, and what differs at the edges."""
    text = config.get_text_config()
    number = max(_FEWEST_LAYERS, int(getattr(text, "first_k_dense_replace", 0) or 0) + 1)
    if int(getattr(text, "decoder_sparse_step", 1) or 1) > 1 or getattr(text, "mlp_only_layers", None):
        return kinds  # layers of experts among others, by their numbers
    if recipe.method.use_llama_pro:
        return kinds  # which blocks train depends on how many there are
    if recipe.method.finetuning_type == "freeze":
        asked = recipe.freeze.freeze_trainable_layers
        if not 1 <= abs(asked) <= len(kinds):
            raise UserError(
                f"this model has {len(kinds)} layers: expected a number from 1 to {len(kinds)}, "
                f"or from -{len(kinds)} to -1",
                field="freeze_trainable_layers",
                value=asked,
            )
        # The trained layers stand in all simulations, so that only frozen ones are extended.
        number = max(number, abs(asked) + 1)
        if asked < 0:
            return kinds if len(set(kinds)) > 1 else kinds[:number]
    few = kinds[-number:]
    return [*(kind for kind in dict.fromkeys(kinds) if kind not in few), *few]
