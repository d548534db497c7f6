"""From a recipe and prepared rows to the trainer of its stage: tokenizer, model, method, loss. Not for running it."""

from __future__ import annotations

from typing import Any

import torch
from transformers import EarlyStoppingCallback, PrinterCallback, ProgressCallback, set_seed

from trainer.config import Recipe
from trainer.data import PreparedData
from trainer.engine.profiling import profiling_callbacks
from trainer.engine.reporting import reporting_callbacks
from trainer.engine.session import RunSession
from trainer.model.describe import tell_what_is_trained
from trainer.model.load import load_model
from trainer.model.prepare import prepare_model
from trainer.model.threads import choose_threads
from trainer.model.tokenizer import load_tokenizer, set_stop_tokens
from trainer.model.vocabulary import grow_vocabulary, warn_of_missing_rows
from trainer.run.messages import Words, words
from trainer.stages.dpo import build_dpo_trainer
from trainer.stages.grpo import build_group_trainer
from trainer.stages.kto import build_kto_trainer
from trainer.stages.ppo import build_ppo_trainer
from trainer.stages.pt import build_pt_trainer
from trainer.stages.rm import build_rm_trainer
from trainer.stages.sft import build_sft_trainer


def build_trainer(session: RunSession, recipe: Recipe, data: PreparedData) -> Any:
    """The trainer, ready for `attach` and `train`; what was chosen on the way is told to the user.

    Raises:
        UserError: when something cannot be loaded, or does not fit together.
    """
    session.phase("preparing", "loading the model")
    tokenizer = load_tokenizer(recipe)
    # Adapters start from random weights: the seed stands before them.
    set_seed(recipe.train.seed)
    model = load_model(recipe, session.finding)
    grow_vocabulary(model, recipe, session.finding)
    warn_of_missing_rows(model, tokenizer, session.finding)
    set_stop_tokens(model, tokenizer, recipe)
    model = prepare_model(model, recipe, session.finding)
    count = tell_what_is_trained(model, session.finding, in_turns=recipe.badam.use_badam)
    threads = choose_threads(count.total)
    if recipe.model.print_param_status:
        for name, parameter in model.named_parameters():
            print(f"{name}: {parameter.dtype}, {'trained' if parameter.requires_grad else 'frozen'}", flush=True)
    trainer = _stage_trainer(session, model, tokenizer, data, recipe)
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    for callback in (*profiling_callbacks(session, recipe, model), *reporting_callbacks(session, recipe)):
        trainer.add_callback(callback)
    if recipe.method.early_stopping_steps:
        trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=recipe.method.early_stopping_steps))
    session.finding("info", _device(trainer.args.device, threads))
    return trainer


def _stage_trainer(session: RunSession, model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe) -> Any:
    """The trainer with the loss of the recipe's stage."""
    folder = session.run.path
    match recipe.method.stage:
        case "sft":
            return build_sft_trainer(model, tokenizer, data, recipe, folder, session.finding)
        case "pt":
            return build_pt_trainer(model, tokenizer, data, recipe, folder)
        case "rm":
            return build_rm_trainer(model, tokenizer, data, recipe, folder)
        case "dpo":
            return build_dpo_trainer(model, tokenizer, data, recipe, folder, session.finding)
        case "kto":
            return build_kto_trainer(model, tokenizer, data, recipe, folder, session.finding)
        case "ppo":
            return build_ppo_trainer(model, tokenizer, data, recipe, folder, session.finding)
        case "grpo" | "rloo":
            return build_group_trainer(model, tokenizer, data, recipe, folder, session.finding)


def _device(device: Any, threads: int) -> Words:
    if device.type == "cuda":
        return words("run_on_gpu", name=f"{torch.cuda.get_device_name(device)} ({device})")
    return words("run_on_cpu", threads=threads)
