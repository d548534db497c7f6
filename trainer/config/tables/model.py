"""`[model]`: which weights, and how they are loaded. Quantization has a table of its own."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, Literal

from pydantic import Field

from trainer.config.form import IN_SEQUENCES, WITH_ADAPTER, Form
from trainer.config.tables.base import Table, TextList

LATER = Form("advanced", available=False)
RARE = Form(available=False)


class ModelTable(Table):
    """Which weights are tuned, and how they are loaded."""

    model_name_or_path: Annotated[str | None, Form("basic")] = None
    """The model to tune: a folder with `config.json` and safetensors, or a name on a hub such as `Qwen/Qwen3-8B`, which
    is downloaded once. `shipped:demo_model` is the small model that comes with trimtab."""

    adapter_name_or_path: Annotated[TextList, Form("advanced", when=(WITH_ADAPTER,))] = []
    """Adapters to start from, as folders or names on a hub. All but the last are merged into the base weights; the last
    is trained on. Leave it empty to begin a new adapter."""

    adapter_folder: Annotated[str | None, Form(when=(WITH_ADAPTER,))] = None
    """Where the adapters named in `adapter_name_or_path` lie: a folder above all of them, or, as in LLaMA-Factory, the
    folder below each of them that holds the adapter itself."""

    model_hub: Annotated[Literal["huggingface", "modelscope"] | None, Form("advanced")] = None
    """Where a name such as `Qwen/Qwen3-8B` is fetched from. Unset: ModelScope where `USE_MODELSCOPE_HUB=1` is set in
    the environment, else the Hugging Face hub. `hf://owner/name` and `ms://owner/name` say it in the name itself."""

    cache_dir: Annotated[str | None, Form("advanced")] = None
    """Where downloaded models are kept. Unset: the Hugging Face cache (`HF_HOME`); for ModelScope a folder of our own.
    Change it when the home disk is small."""

    use_fast_tokenizer: Annotated[bool, Form()] = True
    """Use the tokenizer written in Rust. There is no other any more: transformers 5 dropped those written in Python."""

    resize_vocab: Annotated[bool, Form("advanced")] = False
    """Grow the embeddings to the tokenizer's size; they never shrink, and are not rounded up to a multiple of 64. The
    new rows are trained: alone and saved with a LoRA adapter, with the whole matrix otherwise."""

    split_special_tokens: Annotated[bool, Form("advanced")] = False
    """Read special tokens that stand in the words of a row, such as `<|im_end|>`, as plain text, so that a row cannot
    fake the end of a turn. Those that the chat template writes stay special, unlike with transformers' own switch of
    this name, and so do marks of thoughts and the tokens that you add for your rows."""

    add_tokens: Annotated[TextList, Form("advanced")] = []
    """Ordinary tokens to add to the vocabulary, which answers show. They are found in the text whatever stands around
    them. Turns `resize_vocab` on."""

    add_special_tokens: Annotated[TextList, Form("advanced")] = []
    """Special tokens to add to the vocabulary: marks that chat and exports leave out of the text of answers. Turns
    `resize_vocab` on. The older name `new_special_tokens` is understood."""

    new_special_tokens_config: Annotated[str | None, Form()] = None
    """A YAML file of lines `token: description` for new tokens, from which their embeddings start (see
    `init_special_tokens`). A token that is in neither list above is added as a special one."""

    init_special_tokens: Annotated[Literal["noise_init", "desc_init", "desc_init_w_noise"], Form()] = "noise_init"
    """What the embeddings of all new tokens start from. `noise_init`: the mean of all embeddings, with noise as large
    as they differ. `desc_init`: the mean over the words of the token's description; `desc_init_w_noise`: that with a
    tenth of the noise."""

    model_revision: Annotated[str, Form()] = "main"
    """Branch, tag or commit of the model on the hub; `main` is the newest on both. Set a commit to train on the same
    weights next year."""

    low_cpu_mem_usage: Annotated[bool, Form()] = True
    """Load the weights without a second copy in memory. transformers 5 always does; only there so that LLaMA-Factory
    files can be read."""

    rope_scaling: Annotated[Literal["linear", "dynamic", "yarn", "llama3"] | None, Form("advanced")] = None
    """Stretch the position encoding so that `cutoff_len` may exceed the length that the model was made for; the factor
    comes from the two. `yarn` loses least without much training, `llama3` suits Llama 3."""

    flash_attn: Annotated[Literal["auto", "disabled", "sdpa", "fa2", "fa3"], Form("advanced")] = "auto"
    """The attention code. `auto` takes FlashAttention 2 where it is installed and runs, else PyTorch's fused one
    (`sdpa`), else the plain form, and says why. `disabled` is the plain form, slower but the reference; `fa2` and `fa3`
    need the flash-attn package and a GPU."""

    shift_attn: Annotated[bool, Form()] = False
    """Shifted sparse attention of LongLoRA, for training on long contexts: each token looks at a quarter of the
    sequence. Chat and evaluation use the full attention."""

    mixture_of_depths: Annotated[
        Literal["convert", "load"] | None, Form(available=False, refused="mixture_of_depths_is_broken")
    ] = None
    """Let tokens skip layers (Mixture of Depths): `convert` makes such a model, `load` opens one."""

    use_unsloth: Annotated[bool, Form("advanced", available=False, refused="unsloth_needs_older_trl")] = False
    """Use unsloth's kernels for LoRA training."""

    use_unsloth_gc: Annotated[bool, Form("advanced")] = False
    """Keep what gradient checkpointing stores of each layer in CPU memory: less GPU memory with long rows, slower."""

    enable_liger_kernel: Annotated[bool, Form("advanced")] = False
    """Use the Liger kernels for norms, activations and rotary positions: faster, with fewer copies. Needs liger-kernel
    and an NVIDIA GPU. The fused loss is there without them."""

    moe_aux_loss_coef: Annotated[float | None, Field(ge=0), Form("advanced", when=(IN_SEQUENCES,))] = None
    """Weight of the loss that keeps the experts of a mixture-of-experts model evenly used; 0.001 is usual. Unset: not
    added."""

    disable_gradient_checkpointing: Annotated[bool, Form("advanced")] = False
    """Keep all activations instead of computing them again in the backward pass: about a third faster, far more GPU
    memory. On a machine without a GPU they are kept anyway, unless `gradient_checkpointing` is set."""

    use_reentrant_gc: Annotated[bool, Form()] = True
    """Which of PyTorch's two forms of gradient checkpointing to use. Turn it off when a model warns about inputs
    without gradients."""

    upcast_layernorm: Annotated[bool, Form()] = False
    """Hold the normalisation weights in float32, for steadier training of quantized models."""

    upcast_lmhead_output: Annotated[bool, Form(when=(IN_SEQUENCES,))] = False
    """Compute the logits of the loss in float32 also where the model would compute them in half precision."""

    train_from_scratch: Annotated[bool, Form("advanced")] = False
    """Start from random weights: only the model's configuration and tokenizer are read. With finetuning_type full."""

    infer_backend: Annotated[
        Literal["huggingface", "vllm", "sglang"], Form("advanced", available_choices=("huggingface",))
    ] = "huggingface"
    """The engine of chat and prediction. Training always uses Hugging Face transformers."""

    offload_folder: Annotated[str, Form()] = "offload"
    """Where weights go that fit neither GPU nor memory while chatting."""

    use_kv_cache: Annotated[bool, Form()] = True
    """Keep keys and values of earlier tokens while generating: much faster. The older name `use_cache` is
    understood."""

    use_v1_kernels: Annotated[bool, Form(available=False, refused="refused_v1_kernels")] = False
    """Use the kernels of LLaMA-Factory's experimental trainer where there are any for the device."""

    infer_dtype: Annotated[Literal["auto", "float16", "bfloat16", "float32"], Form("advanced")] = "auto"
    """Number format of the weights in chat and prediction. `auto`: bfloat16 on a GPU that has it, float32 on a CPU."""

    print_param_status: Annotated[bool, Form()] = False
    """Write name, number format and trainable or not of every weight to the log before the first step."""

    trust_remote_code: Annotated[bool, Form()] = False
    """Run the Python code that comes with a model that transformers does not know. That code can do all that you can
    do: it is run only after you have agreed to these very files (`trimtab trust MODEL`, or `t` in the form)."""

    @property
    def adding_tokens(self) -> str | None:
        """The first parameter that adds tokens to the vocabulary, or None."""
        named = {
            "add_tokens": self.add_tokens,
            "add_special_tokens": self.add_special_tokens,
            "new_special_tokens_config": self.new_special_tokens_config,
        }
        return next((name for name, value in named.items() if value), None)
