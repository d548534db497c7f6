"""`[train]`: the training loop, in transformers' names. Other TrainingArguments go to `[trainer]`."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from trainer.config.form import IN_SFT, IN_WRITING, Condition, Form
from trainer.config.tables.base import PromptList, Table, TextList
from trainer.config.tables.inputs_outputs import json_table
from trainer.config.tables.names import Optimizer, Schedule

LATER = Form("advanced", available=False)
RARE = Form(available=False)
EVALUATED = Condition("train.eval_strategy", ("steps", "epoch"))


def _checkpoint_choice(value: object) -> object:
    """LLaMA-Factory and transformers write `true` for "the newest one"."""
    if value in (True, "true"):
        return "latest"
    return None if value in (False, "false") else value


class TrainTable(Table):
    """The training loop: batches, learning rate, evaluation, checkpoints."""

    run_name: Annotated[str | None, Form("basic")] = None
    """Name of the run: its folder below the runs folder, and what services of `report_to` call it. Unset: the preset's
    name with a number."""

    output_dir: Annotated[str | None, Form("advanced")] = None
    """The run directory itself, where it shall not lie below the runs folder. `run_name` is then for `report_to`
    only."""

    overwrite_output_dir: Annotated[bool, Form()] = False
    """Only there so that LLaMA-Factory files can be read: trimtab never overwrites a run. Resume it, or choose another
    `run_name`."""

    do_train: Annotated[bool, Form()] = True
    """Train. On by default here; LLaMA-Factory wants it said. Off: only `do_eval` and `do_predict`, with the weights as
    they are."""

    do_eval: Annotated[bool, Form()] = False
    """Evaluate once more when the training is over."""

    do_predict: Annotated[bool, Form()] = False
    """Predict the evaluation rows when the training is over, with the final weights: generated answers and their scores
    in sft, the numbers of both answers in rm. They are written into `evaluation/` of the run directory."""

    predict_with_generate: Annotated[bool, Form("advanced", when=(IN_SFT,))] = False
    """Let each evaluation also generate answers as `[generation]` says, and score them: BLEU-4, ROUGE and exact match,
    from 0 to 100, such as `eval_rouge-l`. Slow; the loss is computed all the same."""

    learning_rate: Annotated[float | None, Field(gt=0), Form("basic", live=True)] = None
    """How far each step goes. Unset: a sound value for the method, such as 1e-4 for LoRA and 1e-5 for full
    training. LLaMA-Factory's default is 5e-5 for all. Lower it when the loss jumps."""

    num_train_epochs: Annotated[float, Field(gt=0), Form("basic", unit="epochs", live=True)] = 3.0
    """How often all rows are gone through. More than 3 to 5 usually learns the rows by heart."""

    max_steps: Annotated[int, Field(ge=-1), Form("basic", unit="steps", live=True)] = -1
    """Stop after this many optimizer steps, whatever `num_train_epochs` says. -1: by epochs."""

    per_device_train_batch_size: Annotated[int, Field(ge=1), Form("basic", unit="rows")] = 2
    """Rows per GPU that are computed at once. The largest that fits is fastest. transformers' default is 8."""

    gradient_accumulation_steps: Annotated[int, Field(ge=1), Form("basic", unit="batches")] = 8
    """Batches whose gradients are summed before one step. Rows per step = this x batch size x GPUs. transformers'
    default is 1."""

    per_device_eval_batch_size: Annotated[int | None, Field(ge=1), Form("advanced", unit="rows")] = None
    """Rows per GPU that are evaluated at once. Unset: as many as in training."""

    lr_scheduler_type: Annotated[Schedule, Form("basic")] = "cosine"
    """How the learning rate goes after the warmup: `cosine` and `linear` fall to zero, `constant_with_warmup` stays.
    transformers' default is linear."""

    lr_scheduler_kwargs: Annotated[dict[str, Any], Form()] = {}
    """Settings of the schedule, such as `{ min_lr_rate = 0.1 }` for `cosine_with_min_lr`."""

    warmup_steps: Annotated[int, Field(ge=0), Form("advanced", unit="steps")] = 0
    """Steps in which the learning rate rises from zero. Goes before `warmup_ratio`."""

    warmup_ratio: Annotated[float, Field(ge=0, lt=1), Form("basic")] = 0.0
    """Share of all steps in which the learning rate rises from zero; 0.03 to 0.1 is usual."""

    weight_decay: Annotated[float, Field(ge=0, le=1), Form("advanced", live=True)] = 0.0
    """How strongly weights are pulled towards zero in each step."""

    max_grad_norm: Annotated[float, Field(ge=0), Form("advanced", live=True)] = 1.0
    """Gradients longer than this are shortened to it, which tames single bad batches. 0: no limit."""

    optim: Annotated[Optimizer, Form("advanced")] = "adamw_torch"
    """The optimizer. `adamw_torch_fused` is faster on GPUs; those with 8bit, paged, lion or ademamix need the package
    bitsandbytes; `lomo` and those with layerwise update during the backward pass. transformers' default is
    adamw_torch_fused."""

    optim_args: Annotated[str | None, Form()] = None
    """Settings of the optimizer as `name=value,name=value`."""

    adam_beta1: Annotated[float, Field(ge=0, lt=1), Form()] = 0.9
    """Memory of Adam's mean gradient."""

    adam_beta2: Annotated[float, Field(ge=0, lt=1), Form()] = 0.999
    """Memory of Adam's mean squared gradient."""

    adam_epsilon: Annotated[float, Field(gt=0), Form()] = 1e-8
    """Keeps Adam from dividing by zero."""

    neftune_noise_alpha: Annotated[float | None, Field(ge=0), Form("advanced")] = None
    """Noise on the embeddings while training (NEFTune), often 5; can make answers livelier. Unset: none. The older name
    `neftune_alpha` is understood."""

    bf16: Annotated[bool | None, Form("basic")] = None
    """Compute in bfloat16. Unset: yes where the GPU can, no without a GPU."""

    fp16: Annotated[bool, Form("advanced")] = False
    """Compute in float16 with loss scaling, for GPUs without bfloat16 (V100, T4)."""

    tf32: Annotated[bool | None, Form()] = None
    """Let float32 multiplications use the faster TF32 on Ampere GPUs and newer. Unset: PyTorch decides."""

    gradient_checkpointing: Annotated[bool | None, Form("advanced")] = None
    """Compute activations again in the backward pass instead of keeping them: far less memory, about a third slower.
    Unset: on with a GPU, off without, and off when `disable_gradient_checkpointing` is set."""

    torch_compile: Annotated[bool, Form("advanced")] = False
    """Compile the model with PyTorch. The first steps take minutes, later ones less time."""

    logging_steps: Annotated[int, Field(ge=1), Form("advanced", unit="steps", live=True)] = 5
    """Steps between points on the curves. transformers' default is 500."""

    eval_strategy: Annotated[Literal["no", "steps", "epoch"], Form("basic")] = "no"
    """When to evaluate: never, every `eval_steps` steps, or after each epoch. The older name `evaluation_strategy` is
    understood."""

    eval_steps: Annotated[
        int | None,
        Field(ge=1),
        Form("basic", unit="steps", live=True, when=(Condition("train.eval_strategy", ("steps",)),)),
    ] = None
    """Steps between evaluations. Unset: `save_steps`."""

    save_strategy: Annotated[Literal["no", "steps", "epoch", "best"], Form("advanced")] = "steps"
    """When to write checkpoints: only at the end, every `save_steps` steps, after each epoch, or at each best
    evaluation."""

    save_steps: Annotated[
        int,
        Field(ge=1),
        Form("basic", unit="steps", live=True, when=(Condition("train.save_strategy", ("steps",)),)),
    ] = 100
    """Steps between checkpoints. A crash loses at most this much work. transformers' default is 500."""

    save_total_limit: Annotated[int | None, Field(ge=1), Form("basic", unit="checkpoints")] = None
    """Keep only this many newest checkpoints; two whole ones always stay. Unset: keep all."""

    save_only_model: Annotated[bool, Form("advanced")] = False
    """Save the weights without the optimizer: smaller checkpoints, from which a run cannot be resumed."""

    load_best_model_at_end: Annotated[bool, Form("advanced")] = False
    """End with the checkpoint that evaluated best instead of the last one."""

    metric_for_best_model: Annotated[str | None, Form("advanced", when=(EVALUATED,))] = None
    """What best means: a figure of the evaluation, such as `rouge-l` with `predict_with_generate`. Unset: its loss."""

    greater_is_better: Annotated[bool | None, Form("advanced", when=(EVALUATED,))] = None
    """Whether more of that figure is better. Unset: no for a loss, yes for all else."""

    resume_from_checkpoint: Annotated[str | None, BeforeValidator(_checkpoint_choice), Form()] = None
    """The checkpoint to go on from: its folder, or `latest`. `trimtab resume` sets it for you."""

    seed: Annotated[int, Field(ge=0, le=2**32 - 1), Form("advanced")] = 42
    """Seed of everything random. The same seed, data and machine give the same run."""

    data_seed: Annotated[int | None, Field(ge=0, le=2**32 - 1), Form()] = None
    """Seed of the order of the rows alone. Unset: `seed`."""

    dataloader_num_workers: Annotated[int, Field(ge=0), Form("advanced", unit="processes")] = 0
    """Processes that put batches together. 0: the trainer itself, which is enough for rows prepared before."""

    dataloader_pin_memory: Annotated[bool | None, Form()] = None
    """Hold batches in memory that the GPU can fetch faster. Unset: yes with a GPU."""

    group_by_length: Annotated[bool, Form("advanced")] = False
    """Put rows of like length into one batch, so that less is padded."""

    deepspeed: Annotated[str | dict[str, Any] | None, BeforeValidator(json_table), LATER] = None
    """DeepSpeed settings for several GPUs: a JSON file or an inline table."""

    fsdp: Annotated[str | None, LATER] = None
    """Split the model over several GPUs with PyTorch FSDP, such as `full_shard auto_wrap`."""

    fsdp_config: Annotated[str | dict[str, Any] | None, RARE] = None
    """FSDP settings: a JSON file or an inline table."""

    ddp_timeout: Annotated[int, Field(ge=1), Form(unit="seconds")] = 1800
    """How long GPUs wait for each other before the run counts as failed. A run on one has nobody to wait for."""

    ddp_find_unused_parameters: Annotated[bool | None, RARE] = None
    """Look for weights without gradient in each step of a run on several GPUs. Unset: only where needed."""

    report_to: Annotated[TextList, Form("advanced")] = ["none"]
    """Services that get the figures as well: `tensorboard` (files in the run directory), `wandb`, `mlflow`, `swanlab`,
    `trackio` and others of transformers; `all` are those that are installed. Keys come from the environment
    (WANDB_API_KEY ...). Nothing is sent by default. A service that fails never stops the run."""

    push_to_hub: Annotated[bool, Form("advanced")] = False
    """Upload the result to the Hugging Face hub when the run is finished, without the optimizer's state. The token
    comes from the variable HF_TOKEN. The repository is private unless `[trainer]` has `hub_private_repo = false`."""

    hub_model_id: Annotated[str | None, Form("advanced", when=(Condition("train.push_to_hub", (True,)),))] = None
    """Name of the repository that gets the result, `owner/name`. Unset: the run's name, among your own."""

    include_num_input_tokens_seen: Annotated[bool, Form()] = False
    """Also let transformers count tokens, padding included. trimtab's own figures need it not."""

    sample_prompts: Annotated[PromptList, Form("advanced", multiline=True, when=(IN_WRITING,))] = []
    """Prompts that the model answers (in pre-training: goes on with) at each evaluation and when you ask for samples,
    so that you can read how it changes."""

    price_per_hour: Annotated[float | None, Field(gt=0), Form("advanced")] = None
    """What this machine costs in an hour, in whatever currency you pay: the forecast of a run then has a price. Unset:
    no price is shown."""

    telemetry_seconds: Annotated[float, Field(gt=0), Form(unit="seconds")] = 5.0
    """Time between measurements of GPU, processor and memory."""
