"""`[quantization]`, `[multimodal]`, `[export]` and `[inference]`: weights in few bits, media, results, chat engines."""

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from trainer.config.form import WITH_ADAPTER, Condition, Form
from trainer.config.tables.base import Table

QUANTIZED = Condition("quantization.quantization_method", ("bnb",))
VLLM = (Condition("model.infer_backend", ("vllm",)),)
SGLANG = (Condition("model.infer_backend", ("sglang",)),)


def _method_name(value: object) -> object:
    """LLaMA-Factory files also say "bitsandbytes"."""
    return "bnb" if value == "bitsandbytes" else value


def json_table(value: object) -> object:
    """A table may also be given as JSON text, as LLaMA-Factory has it."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


JsonTable = Annotated[dict[str, Any], BeforeValidator(json_table)]


class QuantizationTable(Table):
    """Loading the base model with few bits per weight (QLoRA)."""

    applies_when: ClassVar[tuple[Condition, ...]] = (WITH_ADAPTER,)

    quantization_bit: Annotated[int | None, Field(ge=1, le=8), Form("basic", unit="bits")] = None
    """Bits per weight of the base model: 4 is QLoRA and needs about a quarter of the memory. Unset: not quantized."""

    quantization_method: Annotated[Literal["bnb", "hqq", "eetq"], BeforeValidator(_method_name), Form("advanced")] = (
        "bnb"
    )
    """The library: `bnb` (bitsandbytes, 4 or 8 bits) or `hqq` (1 to 8 bits). `eetq` is refused: its code would be
    downloaded and run."""

    quantization_type: Annotated[Literal["fp4", "nf4"], Form("expert", when=(QUANTIZED,))] = "nf4"
    """The 4-bit number format of bitsandbytes; `nf4` suits trained weights better."""

    double_quantization: Annotated[bool, Form("expert", when=(QUANTIZED,))] = True
    """Quantize the scale factors as well: about 0.4 bits per weight less."""

    quantization_device_map: Annotated[Literal["auto"] | None, Form("expert")] = None
    """`auto` spreads a quantized model over all GPUs for chat; not for training."""


class MultimodalTable(Table):
    """Images, videos and sounds in the data."""

    available: ClassVar[bool] = False

    image_max_pixels: Annotated[int, Field(ge=1), Form("advanced", unit="pixels")] = 768 * 768
    """Larger images are shrunk to this many pixels (width x height)."""

    image_min_pixels: Annotated[int, Field(ge=1), Form("advanced", unit="pixels")] = 32 * 32
    """Smaller images are enlarged to this many pixels."""

    image_do_pan_and_scan: Annotated[bool, Form("expert")] = False
    """Gemma 3: cut wide images into several views."""

    crop_to_patches: Annotated[bool, Form("expert")] = False
    """InternVL: cut images into tiles."""

    video_max_pixels: Annotated[int, Field(ge=1), Form("advanced", unit="pixels")] = 256 * 256
    """Larger video frames are shrunk to this many pixels."""

    video_min_pixels: Annotated[int, Field(ge=1), Form("advanced", unit="pixels")] = 16 * 16
    """Smaller video frames are enlarged to this many pixels."""

    video_fps: Annotated[float, Field(gt=0), Form("advanced", unit="frames per second")] = 2.0
    """Frames that are taken from each second of video."""

    video_maxlen: Annotated[int, Field(ge=1), Form("advanced", unit="frames")] = 128
    """Most frames that are taken from one video."""

    use_audio_in_video: Annotated[bool, Form("expert")] = False
    """Use the sound of a video too."""

    audio_sampling_rate: Annotated[int, Field(ge=1), Form("expert", unit="Hz")] = 16000
    """Sampling rate to which sounds are brought."""


class ExportTable(Table):
    """Writing the tuned model as one, for use elsewhere."""

    available: ClassVar[bool] = False

    export_dir: Annotated[str | None, Form("basic")] = None
    """The folder that gets the model."""

    export_size: Annotated[int, Field(ge=1), Form("advanced", unit="GB")] = 5
    """Largest size of one weight file."""

    export_device: Annotated[Literal["cpu", "auto"], Form("advanced")] = "cpu"
    """Where adapters are merged: `cpu` needs memory of the model's size, `auto` uses the GPU."""

    export_quantization_bit: Annotated[Literal[2, 3, 4, 8] | None, Form("advanced", unit="bits")] = None
    """Quantize the result with GPTQ to this many bits. Unset: not."""

    export_quantization_dataset: Annotated[str | None, Form("advanced")] = None
    """Texts that the quantization measures the model with."""

    export_quantization_nsamples: Annotated[int, Field(ge=1), Form("expert", unit="rows")] = 128
    """How many of those texts are used."""

    export_quantization_maxlen: Annotated[int, Field(ge=1), Form("expert", unit="tokens")] = 1024
    """How long each of them may be."""

    export_legacy_format: Annotated[bool, Form("expert")] = False
    """Write `.bin` files instead of safetensors."""

    export_hub_model_id: Annotated[str | None, Form("advanced")] = None
    """Also upload to this repository on the hub. The token comes from the variable HF_TOKEN."""


class InferenceTable(Table):
    """The vLLM and SGLang engines for chat and prediction."""

    available: ClassVar[bool] = False

    vllm_maxlen: Annotated[int, Field(ge=1), Form("advanced", unit="tokens", when=VLLM)] = 4096
    """Longest prompt and answer together."""

    vllm_gpu_util: Annotated[float, Field(gt=0, le=1), Form("advanced", when=VLLM)] = 0.7
    """Share of the GPU's memory that vLLM takes."""

    vllm_enforce_eager: Annotated[bool, Form("expert", when=VLLM)] = False
    """Run without CUDA graphs: starts faster, answers slower."""

    vllm_max_lora_rank: Annotated[int, Field(ge=1), Form("expert", when=VLLM)] = 32
    """Largest rank of adapters that are loaded."""

    vllm_config: Annotated[JsonTable | None, Form("expert", when=VLLM)] = None
    """More settings of vLLM, as an inline table or JSON text."""

    sglang_maxlen: Annotated[int, Field(ge=1), Form("advanced", unit="tokens", when=SGLANG)] = 4096
    """Longest prompt and answer together."""

    sglang_mem_fraction: Annotated[float, Field(gt=0, le=1), Form("advanced", when=SGLANG)] = 0.7
    """Share of the GPU's memory that SGLang takes."""

    sglang_tp_size: Annotated[int, Field(ge=-1), Form("expert", unit="GPUs", when=SGLANG)] = -1
    """Over how many GPUs the model is split. -1: all."""

    sglang_config: Annotated[JsonTable | None, Form("expert", when=SGLANG)] = None
    """More settings of SGLang, as an inline table or JSON text."""

    sglang_lora_backend: Annotated[Literal["triton", "flashinfer"], Form("expert", when=SGLANG)] = "triton"
    """The kernels for adapters."""
