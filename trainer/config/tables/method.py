"""`[method]`: the training stage, what is trained, and variants of loss and loop. Adapter settings are in `[lora]`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from trainer.config.form import IN_SFT, WITH_ADAPTER, WITH_LLAMA_PRO, AdapterMethod, Condition, Form
from trainer.config.tables.base import Table
from trainer.config.tables.inputs_outputs import JsonTable

LATER = Form("advanced", available=False)
RARE = Form(available=False)
MEGATRON = Form(available=False, refused="refused_megatron")
HYPER_PARALLEL = Form(available=False, refused="refused_hyper_parallel")
IN_SFT_ONLY = Form("advanced", when=(IN_SFT,))


class MethodTable(Table):
    """The training stage, and which weights are trained."""

    stage: Annotated[
        Literal["pt", "sft", "rm", "ppo", "dpo", "kto", "grpo", "rloo"],
        Form("basic"),
    ] = "sft"
    """What kind of training: `sft` learns answers to prompts, `pt` plain text, `rm` a reward model, `dpo` from
    pairs of better and worse answers, `kto` from answers marked good or bad; `ppo`, `grpo` and `rloo` from the rewards
    of the model's own answers."""

    finetuning_type: Annotated[Literal["lora", "oft", "freeze", "full", AdapterMethod], Form("basic")] = "lora"
    """Which weights change: `lora` adds small matrices and trains only them (least memory), `freeze` trains some
    layers, `full` trains everything (about eight times the memory of lora). More adapters: `oft` rotates, `adalora`
    moves rank to where it is needed, `vera`, `loha`, `lokr` and `miss` build their matrices otherwise, `ia3` scales
    outputs, `ln_tuning` trains the norms, `prompt_tuning` and `prefix_tuning` put trained vectors in front."""

    adapter_kwargs: Annotated[JsonTable | None, Form(when=(WITH_ADAPTER,))] = None
    """More settings of the adapter, by the names of PEFT's configuration, as an inline table: for lora
    `{ rank_pattern = { q_proj = 16 } }`, for adalora `{ tinit = 50 }`, for prompts `{ num_virtual_tokens = 20 }`."""

    pure_bf16: Annotated[bool, Form("advanced")] = False
    """Hold weights, gradients and optimizer state in bfloat16 alone: half the memory, small updates may be lost."""

    use_llama_pro: Annotated[bool, Form("advanced", when=(WITH_LLAMA_PRO,))] = False
    """Train only the blocks that `trimtab expand` added to a model (LLaMA Pro)."""

    use_adam_mini: Annotated[bool, Form("advanced")] = False
    """Use the Adam-mini optimizer, with one learning rate per block: about half of Adam's memory."""

    use_muon: Annotated[bool, Form("advanced")] = False
    """Use the Muon optimizer for matrices, and AdamW for the rest."""

    use_mca: Annotated[bool, MEGATRON] = False
    """Train through Megatron-Core by mcore_adapter."""

    use_megatron_bridge: Annotated[bool, MEGATRON] = False
    """Train through NVIDIA's Megatron Bridge."""

    megatron_bridge_args: Annotated[dict[str, Any] | None, MEGATRON] = None
    """Settings for Megatron Bridge, as an inline table."""

    use_hyper_parallel: Annotated[bool, HYPER_PARALLEL] = False
    """Train through HyperParallel."""

    hyper_parallel_args: Annotated[str | None, HYPER_PARALLEL] = None
    """Settings for HyperParallel: a file or JSON text."""

    hyper_parallel_cp_size: Annotated[int, Field(ge=1), HYPER_PARALLEL] = 1
    """Over how many GPUs HyperParallel splits each sequence."""

    use_dft_loss: Annotated[bool, IN_SFT_ONLY] = False
    """Weigh each token's loss with its own probability (dynamic fine-tuning, DFT)."""

    use_asft_loss: Annotated[bool, IN_SFT_ONLY] = False
    """Dynamic fine-tuning with an anchor: a KL term holds the model near the untuned one."""

    asft_alpha: Annotated[
        float,
        Field(ge=0),
        Form(when=(IN_SFT, Condition("method.use_asft_loss", (True,)))),
    ] = 0.1
    """Weight of the anchoring KL term of `use_asft_loss`."""

    use_eaft_loss: Annotated[bool, IN_SFT_ONLY] = False
    """Weigh each token's loss with the model's uncertainty (entropy-adaptive fine-tuning)."""

    eaft_alpha: Annotated[
        float,
        Field(ge=0),
        Form(when=(IN_SFT, Condition("method.use_eaft_loss", (True,)))),
    ] = 1.0
    """Exponent of the entropy weight of `use_eaft_loss`."""

    freeze_vision_tower: Annotated[bool, RARE] = True
    """Leave the image encoder of a multimodal model as it is."""

    freeze_multi_modal_projector: Annotated[bool, RARE] = True
    """Leave the layers between image encoder and language model as they are."""

    freeze_language_model: Annotated[bool, RARE] = False
    """Leave the language model of a multimodal model as it is."""

    train_mm_proj_only: Annotated[bool, RARE] = False
    """Train only the layers between image encoder and language model. Older way to say: freeze tower and language
    model."""

    compute_accuracy: Annotated[bool, IN_SFT_ONLY] = False
    """Report the share of tokens that the model would have chosen itself as `eval_accuracy` at each evaluation, and of
    each data set apart; `metric_for_best_model = "accuracy"` goes by it."""

    disable_shuffling: Annotated[bool, Form("advanced")] = False
    """Train on the rows in the order of the files."""

    early_stopping_steps: Annotated[int | None, Field(ge=1), Form("advanced", unit="evaluations")] = None
    """Stop after this many evaluations without a better result. Needs an evaluation strategy. Unset: never."""

    plot_loss: Annotated[bool, Form()] = False
    """Write a picture of the loss curve, `loss.svg`, into the run directory at the end. The dashboard shows it live
    anyway."""

    include_effective_tokens_per_second: Annotated[bool, Form()] = False
    """Also report tokens per second over the whole run at its end. The live figure counts real tokens already."""
