"""`[data]`: which rows are read and how they become tokens and labels. Batches and loaders are in `[train]`."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, Literal

from pydantic import Field

from trainer.config.form import IN_SFT, Condition, Form
from trainer.config.tables.base import NumberList, Table, TextList

LATER = Form("advanced", available=False)
RARE = Form(available=False)
STREAMED = Form("advanced", available=False, when=(Condition("data.streaming", (True,)),))
INTERLEAVED = Form(
    "advanced",
    available=False,
    when=(Condition("data.mix_strategy", ("interleave_under", "interleave_over", "interleave_once")),),
)


class DataTable(Table):
    """Which rows are trained on, and how they become tokens and labels."""

    template: Annotated[str | None, Form("advanced", available=False)] = None
    """The chat template by name. Unset: the template that comes with the model's tokenizer, which is what you want
    for any model that has one."""

    dataset: Annotated[TextList, Form("basic")] = []
    """What to train on: names out of `dataset_info.json` or paths of .json and .jsonl files. All of them are used,
    one after the other, then shuffled."""

    eval_dataset: Annotated[TextList, Form("basic")] = []
    """What to evaluate on, named like `dataset`. To hold back part of the training rows instead, set `val_size`."""

    dataset_dir: Annotated[str, Form("advanced")] = "data"
    """The folder with `dataset_info.json` and the files that it names. Where the folder `data` has no such file, the
    one that comes with trimtab is used."""

    media_dir: Annotated[str | None, RARE] = None
    """The folder of images, videos and sounds that rows name. Unset: `dataset_dir`."""

    cutoff_len: Annotated[int, Field(ge=1), Form("basic", unit="tokens")] = 2048
    """Longest row in tokens, prompt and answer together; what exceeds it is cut and counted in the report. Memory
    grows with it. Choose it from the length histogram, not larger than the model's own limit."""

    train_on_prompt: Annotated[bool, Form("advanced", when=(IN_SFT,))] = False
    """Learn the prompts as well as the answers. Rarely helps a chat model."""

    mask_history: Annotated[bool, Form("advanced", when=(IN_SFT,))] = False
    """Learn only the last answer of a conversation instead of all of them."""

    streaming: Annotated[bool, LATER] = False
    """Read rows while training instead of before it, for data that does not fit on the disk. Needs `max_steps`."""

    buffer_size: Annotated[int, Field(ge=1), Form(unit="rows", available=False, when=STREAMED.when)] = 16384
    """How many rows a stream holds to shuffle among."""

    mix_strategy: Annotated[Literal["concat", "interleave_under", "interleave_over", "interleave_once"], LATER] = (
        "concat"
    )
    """How several data sets are mixed: `concat` takes all rows; the others draw from them in turn and end with the
    shortest set (`under`), the longest (`over`, short ones repeat), or when each row was drawn once (`once`)."""

    interleave_probs: Annotated[NumberList, INTERLEAVED] = []
    """The probability of drawing from each data set, in the order of `dataset`. Empty: all the same."""

    overwrite_cache: Annotated[bool, Form(available=False)] = False
    """Prepare the rows again although the prepared ones are stored."""

    preprocessing_batch_size: Annotated[int, Field(ge=1), Form(unit="rows")] = 1000
    """How many rows are rendered and tokenized at once."""

    preprocessing_num_workers: Annotated[int | None, Field(ge=1), Form(unit="processes", available=False)] = None
    """Processes that prepare rows. Unset: one; the tokenizer is already parallel inside."""

    max_samples: Annotated[int | None, Field(ge=1), Form("basic", unit="rows")] = None
    """Take at most this many rows of each data set, for a quick trial. Unset: all rows."""

    eval_num_beams: Annotated[int | None, Field(ge=1), Form(available=False)] = None
    """Beams of the beam search when evaluation generates answers. Unset: `num_beams` of `[generation]`."""

    ignore_pad_token_for_loss: Annotated[bool, Form()] = True
    """Leave padding out of the loss. Turning it off makes the model learn to pad."""

    val_size: Annotated[float, Field(ge=0), Form("basic")] = 0.0
    """How many training rows to hold back for evaluation: below 1 a share (0.1 is a tenth), from 1 on a number of
    rows. 0: none."""

    eval_on_each_dataset: Annotated[bool, LATER] = False
    """Evaluate each data set alone and report `eval_<name>_loss` for each."""

    packing: Annotated[bool | None, LATER] = None
    """Put several short rows into one sequence of `cutoff_len` tokens, so that no time goes into padding. Unset: on
    in pre-training, else off."""

    neat_packing: Annotated[bool, Form("advanced", available=False, when=(IN_SFT,))] = False
    """Pack, and keep packed rows from seeing each other. Turns `packing` on."""

    tool_format: Annotated[str | None, RARE] = None
    """How tool calls are written into the prompt. Unset: as the chat template does it."""

    default_system: Annotated[str | None, Form("advanced", multiline=True)] = None
    """System prompt of rows that have none of their own. Unset: what the chat template does by itself."""

    enable_thinking: Annotated[Literal[True, False, "mixed"], LATER] = True
    """For models that think: `true` learns an empty thought where a row has none, `false` drops thoughts and puts the
    empty one into the prompt, `"mixed"` leaves rows as they are (LLaMA-Factory's null)."""

    preserve_thinking: Annotated[bool, RARE] = False
    """Keep the thoughts of earlier answers in the conversation."""

    tokenized_path: Annotated[str | None, LATER] = None
    """A folder to keep the prepared rows in, and to take them from when it exists."""

    data_shared_file_system: Annotated[bool, RARE] = False
    """All machines of a multi-machine run see the same disk, so that one alone prepares the rows."""

    on_bad_row: Annotated[Literal["stop", "skip"], Form("advanced")] = "stop"
    """What happens when rows cannot be used (broken JSON, a missing column, no answer): `stop` names them by file and
    line and trains nothing; `skip` leaves them out and says how many. LLaMA-Factory always skips."""
