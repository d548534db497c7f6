"""Rules of the training loop: precision against hardware, schedules, evaluation and saving, names of runs."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.config.finding import Finding
from trainer.config.form import IN_ANSWERING
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error, found, warning

# Adam's update does not depend on the gradient's size, so that no model bears steps beyond this.
_HIGHEST_SOUND_LEARNING_RATE = 0.1
_FIGURES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("pt", "sft"), ("loss", "entropy", "mean_token_accuracy")),
    **dict.fromkeys(("ppo", "grpo", "rloo"), ("reward", "kl", "reward_std", "answer_tokens", "answers_ended")),
}


def best_model(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Choosing the best model needs evaluations at the time of the checkpoints."""
    train = recipe.train
    evaluate: dict[str, object] = {"train.eval_strategy": "steps"}
    asking = _who_compares(recipe)
    if asking is not None and train.eval_strategy == "no":
        name = asking.partition(".")[2]
        yield error("best_without_evaluation", asking, "train.eval_strategy", change=evaluate, asked=name)
    elif train.load_best_model_at_end and train.save_strategy not in ("best", train.eval_strategy):
        # Without checkpoints to choose from, saving has to follow the evaluation; else the other way round.
        proposed = train.eval_strategy if train.save_strategy == "no" else train.save_strategy
        yield error(
            "best_model_strategies",
            "train.load_best_model_at_end",
            "train.eval_strategy",
            "train.save_strategy",
            change={"train.eval_strategy": proposed, "train.save_strategy": proposed},
            evaluation=train.eval_strategy,
            saving=train.save_strategy,
            proposed=proposed,
        )
    elif train.load_best_model_at_end and train.save_strategy == "steps" == train.eval_strategy:
        yield from _matching_steps(recipe)


def _who_compares(recipe: Recipe) -> str | None:
    """The first parameter that needs evaluations to choose by."""
    if recipe.train.load_best_model_at_end:
        return "train.load_best_model_at_end"
    if recipe.method.early_stopping_steps is not None:
        return "method.early_stopping_steps"
    return "train.save_strategy" if recipe.train.save_strategy == "best" else None


def _matching_steps(recipe: Recipe) -> Iterator[Finding]:
    saving, evaluation = recipe.train.save_steps, recipe.train.eval_steps
    if evaluation is None or saving % evaluation == 0:
        return
    proposed = max(1, round(saving / evaluation)) * evaluation
    yield error(
        "best_model_steps",
        "train.save_steps",
        "train.eval_steps",
        "train.load_best_model_at_end",
        change={"train.save_steps": proposed},
        saving=saving,
        evaluation=evaluation,
        proposed=proposed,
    )


def best_metric(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """The figure that the best checkpoint is chosen by exists. Of pairs there are many, which the run checks itself."""
    key, stage = "train.metric_for_best_model", recipe.method.stage
    metric = recipe.train.metric_for_best_model
    if metric is None or stage not in _FIGURES:
        return
    known = (*_FIGURES[stage], *_single_rewards(recipe))
    # Of each data set by itself: `alpaca_loss`.
    name = next((each for each in (*known, "accuracy") if _is_figure(metric, each)), None)
    if name is None:
        values = {"metric": metric, "stage": stage, "known": ", ".join(known)}
        yield error("best_metric_unknown", key, "method.stage", change={key: known[0]}, **values)
    elif name == "accuracy" and not recipe.method.compute_accuracy:
        change: dict[str, object] = {"method.compute_accuracy": True} if stage == "sft" else {key: "loss"}
        yield error("best_metric_needs_accuracy", key, "method.compute_accuracy", change=change, metric=metric)


def _single_rewards(recipe: Recipe) -> tuple[str, ...]:
    """Where the reward is a sum, the figures of its parts."""
    if recipe.method.stage not in IN_ANSWERING.values:
        return ()
    parts = (*recipe.reward.reward_funcs, *(("model",) if recipe.ppo.reward_model else ()))
    return tuple(f"rewards/{name}" for name in parts) if len(parts) > 1 else ()


def _is_figure(metric: str, name: str) -> bool:
    return metric.removeprefix("eval_") == name or metric.endswith(f"_{name}")


def precision(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """Number formats against each other and against the hardware."""
    train = recipe.train
    if train.bf16 and train.fp16:
        yield error("bf16_and_fp16", "train.bf16", "train.fp16", change={"train.fp16": False})
    if hardware is None:
        return
    if train.bf16 and hardware.cuda and not hardware.bf16:
        yield error("bf16_without_hardware", "train.bf16", change={"train.bf16": False, "train.fp16": True})
    if train.bf16 and not hardware.cuda:
        yield warning("bf16_on_processor", "train.bf16", change={"train.bf16": None})
    if train.fp16 and not hardware.cuda:
        yield error("fp16_without_hardware", "train.fp16", change={"train.fp16": False})
    if train.tf32 and not hardware.bf16:
        yield error("tf32_without_hardware", "train.tf32", change={"train.tf32": None})
    if hardware.cuda and not hardware.bf16 and not train.fp16:
        yield found("fp16_suggested", "info", "train.fp16", change={"train.fp16": True})


def length_and_warmup(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """The length of the run, and a warmup within it."""
    train = recipe.train
    if train.max_steps == 0:
        yield error("max_steps_zero", "train.max_steps", "train.num_train_epochs", change={"train.max_steps": -1})
    if 0 < train.max_steps <= train.warmup_steps:
        proposed = train.max_steps // 10
        yield error(
            "warmup_longer_than_run",
            "train.warmup_steps",
            "train.max_steps",
            change={"train.warmup_steps": proposed},
            warmup=train.warmup_steps,
            steps=train.max_steps,
            proposed=proposed,
        )
    if train.warmup_steps and train.warmup_ratio:
        yield warning(
            "warmup_given_twice",
            "train.warmup_ratio",
            "train.warmup_steps",
            change={"train.warmup_ratio": 0.0},
            steps=train.warmup_steps,
            ratio=train.warmup_ratio,
        )


def schedule(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What single learning rate schedules need."""
    train = recipe.train
    kind, settings = train.lr_scheduler_type, train.lr_scheduler_kwargs
    fields = ("train.lr_scheduler_type", "train.lr_scheduler_kwargs")
    if kind in ("cosine_with_min_lr", "cosine_warmup_with_min_lr") and not {"min_lr", "min_lr_rate"} & settings.keys():
        change: dict[str, object] = {fields[1]: {**settings, "min_lr_rate": 0.1}}
        yield error("schedule_needs_minimum", *fields, change=change, schedule=kind)
    if kind in ("reduce_lr_on_plateau", "greedy") and train.eval_strategy == "no":
        change = {"train.eval_strategy": "steps"}
        yield error("schedule_needs_evaluation", fields[0], "train.eval_strategy", change=change, schedule=kind)
    if kind in ("constant", "reduce_lr_on_plateau", "greedy"):
        for name in ("warmup_steps", "warmup_ratio"):
            if recipe.value(f"train.{name}"):
                key = f"train.{name}"
                change = {fields[0]: "constant_with_warmup"} if kind == "constant" else {key: 0}
                yield warning("schedule_without_warmup", fields[0], key, change=change, schedule=kind, name=name)


def row_order(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Batches of rows of like length."""
    key = "train.group_by_length"
    if not recipe.train.group_by_length:
        return
    off: dict[str, object] = {key: False}
    if recipe.method.disable_shuffling:
        yield error("grouping_and_order", key, "method.disable_shuffling", change=off)
    for name in ("packing", "neat_packing", "padding_free", "streaming"):
        if recipe.value(f"data.{name}"):
            yield warning("grouping_without_padding", key, f"data.{name}", change=off, name=name)


def learning_rate(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """A learning rate that nothing survives."""
    value = recipe.train.learning_rate
    if value is not None and value > _HIGHEST_SOUND_LEARNING_RATE:
        yield warning("learning_rate_high", "train.learning_rate", change={"train.learning_rate": None}, value=value)


def activations(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Gradient checkpointing cannot be on and off."""
    if recipe.train.gradient_checkpointing and recipe.model.disable_gradient_checkpointing:
        fields = ("train.gradient_checkpointing", "model.disable_gradient_checkpointing")
        yield error("gradient_checkpointing_twice", *fields, change={fields[0]: None})


def several_gpus(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """One way to split the model."""
    train = recipe.train
    if train.deepspeed is not None and train.fsdp:
        yield error("deepspeed_and_fsdp", "train.deepspeed", "train.fsdp", change={"train.fsdp": None})
    if train.fsdp_config is not None and not train.fsdp:
        yield error("fsdp_config_without_fsdp", "train.fsdp_config", "train.fsdp", change={"train.fsdp_config": None})


def checkpoints(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What cannot be done with the checkpoints asked for."""
    if recipe.train.save_only_model:
        yield found("cannot_resume", "info", "train.save_only_model", change={"train.save_only_model": False})


def loader_processes(recipe: Recipe, hardware: Hardware | None) -> Iterator[Finding]:
    """Not more loader processes than cores."""
    workers = recipe.train.dataloader_num_workers
    if hardware is not None and workers > hardware.cpu_cores:
        key = "train.dataloader_num_workers"
        cores = hardware.cpu_cores
        yield warning("more_workers_than_cores", key, change={key: cores}, workers=workers, cores=cores)


TRAINING_RULES: tuple[Rule, ...] = (
    best_model,
    best_metric,
    precision,
    length_and_warmup,
    schedule,
    row_order,
    learning_rate,
    activations,
    several_gpus,
    checkpoints,
    loader_processes,
)
