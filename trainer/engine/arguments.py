"""From the recipe's [train] table to the arguments of the installed transformers and TRL, each set explicitly.

TRL's defaults differ from transformers' (bf16, gradient checkpointing, model cards, printers), so nothing is left open.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from trainer.config import Recipe
from trainer.engine.optimizers.create import is_made_here
from trainer.errors import UserError
from trainer.model.checkpointing import checkpointing_settings

# Ours to do, or ours to decide, however they stand in the table.
_OURS = {
    "output_dir",
    "overwrite_output_dir",
    "do_train",
    "do_eval",
    "do_predict",
    "resume_from_checkpoint",
    "run_name",
    "save_total_limit",
    "warmup_ratio",
    "gradient_checkpointing",
    "group_by_length",
    "predict_with_generate",
    "sample_prompts",
    "telemetry_seconds",
    "report_to",
    "include_num_input_tokens_seen",
}


def training_arguments(kind: type, recipe: Recipe, folder: Path, **stage: Any) -> Any:
    """Build `kind` (a TrainingArguments class) from the recipe; `stage` holds what the stage adds.

    Raises:
        UserError: when the installed version refuses a setting.
    """
    fields = {field.name for field in dataclasses.fields(kind)}
    table = recipe.train
    values: dict[str, Any] = {
        name: value
        for name, value in table.model_dump(exclude_none=True).items()
        if name not in _OURS and name in fields
    }
    values.update(
        output_dir=str(folder),
        # What services that get the figures call the run.
        run_name=table.run_name or folder.name,
        # Services are called by callbacks of our own, see `reporting`.
        report_to="none",
        disable_tqdm=True,
        logging_nan_inf_filter=False,
        logging_first_step=True,
        # Rotation is done by our manifest, not by file time.
        save_total_limit=None,
        # Uploaded once, when the run is over, see `upload`; a checkpoint on the way is nobody's business.
        push_to_hub=False,
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=_checkpointing(recipe),
        gradient_checkpointing_kwargs=checkpointing_settings(recipe),
        include_num_input_tokens_seen="no",
        dataloader_pin_memory=torch.cuda.is_available() and table.dataloader_pin_memory is not False,
        per_device_eval_batch_size=table.per_device_eval_batch_size or table.per_device_train_batch_size,
        eval_steps=table.eval_steps or table.save_steps,
        remove_unused_columns=True,
    )
    if table.warmup_ratio and not table.warmup_steps:
        # transformers 5: below 1 is a share of the run.
        values["warmup_steps"] = table.warmup_ratio
    if recipe.method.disable_shuffling:
        values["train_sampling_strategy"] = "sequential"
    if is_made_here(table.optim):
        # transformers looks for the packages of these; ours need none.
        values.update(optim="adamw_torch", optim_args=None)
    values.update(stage)
    values.update(recipe.trainer)
    try:
        return kind(**values)
    except (TypeError, ValueError, ImportError) as error:
        # With its tables alone a recipe has been checked; [trainer] goes through to the installed version.
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"transformers refuses these settings: {first}", field="trainer") from error


def _checkpointing(recipe: Recipe) -> bool:
    if recipe.model.disable_gradient_checkpointing:
        return False
    asked = recipe.train.gradient_checkpointing
    # On the CPU memory is plentiful and time is not.
    return torch.cuda.is_available() if asked is None else asked
