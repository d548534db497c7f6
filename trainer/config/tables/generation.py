"""`[generation]` and `[evaluation]`: how answers are generated, and which benchmarks are run."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainer.config.form import Condition, Form
from trainer.config.tables.base import Table

SAMPLED = (Condition("generation.do_sample", (True,)),)


class GenerationTable(Table):
    """How answers are generated: in chat, for samples during training, in prediction."""

    do_sample: Annotated[bool, Form("basic")] = True
    """Draw each token at random by its probability. Off: always take the likeliest one, the same answer each time."""

    temperature: Annotated[float, Field(gt=0, le=10), Form("basic", when=SAMPLED)] = 0.95
    """How daring the draw is: near 0 almost always the likeliest token, 1 as the model learned it, above it wilder."""

    top_p: Annotated[float, Field(gt=0, le=1), Form("basic", when=SAMPLED)] = 0.7
    """Draw only among the likeliest tokens that together have this probability. 1: among all."""

    top_k: Annotated[int, Field(ge=0), Form("advanced", unit="tokens", when=SAMPLED)] = 50
    """Draw only among this many likeliest tokens. 0: no such limit."""

    num_beams: Annotated[int, Field(ge=1, le=64), Form()] = 1
    """Beams of the beam search. 1: no beam search."""

    max_length: Annotated[int, Field(ge=1), Form(unit="tokens")] = 1024
    """Limit of prompt and answer together. `max_new_tokens` goes before it."""

    max_new_tokens: Annotated[int, Field(ge=1), Form("basic", unit="tokens")] = 1024
    """Longest answer."""

    repetition_penalty: Annotated[float, Field(gt=0), Form("advanced")] = 1.0
    """Above 1: make tokens that already stand in the text less likely. 1: no change."""

    length_penalty: Annotated[float, Form()] = 1.0
    """Beam search only: above 0 prefers longer answers, below 0 shorter ones."""

    skip_special_tokens: Annotated[bool, Form("advanced")] = True
    """Leave special tokens such as the end of turn out of the answer's text."""


class EvaluationTable(Table):
    """Benchmarks of several choices (MMLU, C-Eval, CMMLU)."""

    available: ClassVar[bool] = False

    task: Annotated[str | None, Form("basic")] = None
    """The benchmark with its part, such as `mmlu_test`."""

    task_dir: Annotated[str, Form("advanced")] = "evaluation"
    """The folder of the benchmarks' files."""

    batch_size: Annotated[int, Field(ge=1), Form("basic", unit="questions")] = 4
    """Questions that are answered at once on each GPU."""

    seed: Annotated[int, Field(ge=0), Form("advanced")] = 42
    """Seed of the draw of examples for the prompt."""

    lang: Annotated[Literal["en", "zh"], Form("basic")] = "en"
    """Language of the prompt around the questions."""

    n_shot: Annotated[int, Field(ge=0), Form("basic", unit="examples")] = 5
    """Solved examples before each question."""

    save_dir: Annotated[str | None, Form("advanced")] = None
    """Where answers and scores are written. Unset: below the run directory."""

    download_mode: Annotated[
        Literal["reuse_dataset_if_exists", "reuse_cache_if_exists", "force_redownload"], Form("expert")
    ] = "reuse_dataset_if_exists"
    """What to do when the benchmark was downloaded before."""
