"""`[data]`: which rows are read and how they become tokens and labels. Batches and loaders are in `[train]`."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, Literal

from pydantic import Field

from trainer.config.form import IN_SEQUENCES, IN_SFT, Condition, Form
from trainer.config.tables.base import NumberList, Table, TextList

GENERATED = Condition("train.predict_with_generate", (True,))
INTERLEAVED = Condition("data.mix_strategy", ("interleave_under", "interleave_over", "interleave_once"))


class DataTable(Table):
    """Which rows are trained on, and how they become tokens and labels."""

    template: Annotated[str | None, Form("advanced")] = None
    """The chat template by name (`trimtab data templates` lists them; LLaMA-Factory's names are understood). Unset:
    the template that comes with the model's tokenizer, which is what you want for any model that has one."""

    dataset: Annotated[TextList, Form("basic")] = []
    """What to train on: names out of `dataset_info.json`, paths (json, jsonl, csv, tsv, parquet, arrow, txt, gz of
    these, a folder, a pattern with `*`), or hub names (`hf://owner/name`, `ms://owner/name`). How several are put
    together says `mix_strategy`."""

    eval_dataset: Annotated[TextList, Form("basic")] = []
    """What to evaluate on, named like `dataset`. To hold back part of the training rows instead, set `val_size`."""

    dataset_dir: Annotated[str, Form("advanced")] = "data"
    """The folder with `dataset_info.json` and the files that it names. Where the folder `data` has no such file, the
    one that comes with trimtab is used."""

    media_dir: Annotated[str | None, Form()] = None
    """The folder of images, videos and sounds that rows name. Unset: `dataset_dir`."""

    cutoff_len: Annotated[int, Field(ge=1), Form("basic", unit="tokens")] = 2048
    """Longest row in tokens, prompt and answer together. Memory grows with it. Choose it from the length histogram,
    not larger than the model's own limit. What happens to longer rows says `on_long_row`."""

    on_long_row: Annotated[Literal["truncate", "drop", "error"], Form("advanced")] = "truncate"
    """What happens to rows longer than `cutoff_len`: `truncate` keeps their first `cutoff_len` tokens, `drop` leaves
    them out, `error` names them and trains nothing. Cut rows, labels lost, answers that lose their end (the model does
    not learn to stop there) and rows that lose their whole answer (these are left out) are counted in the report."""

    train_on_prompt: Annotated[bool, Form("advanced", when=(IN_SFT,))] = False
    """Learn the prompts as well as the answers. Rarely helps a chat model."""

    mask_history: Annotated[bool, Form("advanced", when=(IN_SFT,))] = False
    """Learn only the last answer of a conversation instead of all of them."""

    streaming: Annotated[bool, Form("advanced")] = False
    """Read rows while training instead of before it, for data that does not fit on the disk. Needs `max_steps`."""

    buffer_size: Annotated[int, Field(ge=1), Form(unit="rows", when=(Condition("data.streaming", (True,)),))] = 16384
    """How many rows a stream holds to shuffle among."""

    mix_strategy: Annotated[
        Literal["concat", "interleave_under", "interleave_over", "interleave_once"], Form("advanced")
    ] = "concat"
    """How several data sets are mixed: `concat` takes all rows; the others draw from them in turn and end with the
    shortest set (`under`), the longest (`over`, short ones repeat), or when each row was drawn once (`once`)."""

    interleave_probs: Annotated[NumberList, Form("advanced", when=(INTERLEAVED,))] = []
    """The probability of drawing from each data set, in the order of `dataset`. Empty: all the same."""

    overwrite_cache: Annotated[bool, Form()] = False
    """Prepare the rows again although prepared ones are stored. Never needed after a change of files, template,
    tokenizer or settings: that is noticed."""

    preprocessing_batch_size: Annotated[int, Field(ge=1), Form(unit="rows")] = 1000
    """How many rows are rendered and tokenized at once."""

    preprocessing_num_workers: Annotated[int | None, Field(ge=1), Form(unit="processes")] = None
    """Processes that prepare rows. Unset: as many as the data and the processor are worth."""

    max_samples: Annotated[int | None, Field(ge=1), Form("basic", unit="rows")] = None
    """Take at most this many rows of each data set, for a quick trial. Unset: all rows."""

    eval_num_beams: Annotated[int | None, Field(ge=1), Form(when=(GENERATED,))] = None
    """Beams of the beam search when evaluation generates answers. Unset: `num_beams` of `[generation]`."""

    ignore_pad_token_for_loss: Annotated[bool, Form(when=(IN_SEQUENCES,))] = True
    """Leave padding out of the loss. Turning it off makes the model learn to pad."""

    val_size: Annotated[float, Field(ge=0), Form("basic")] = 0.0
    """How many training rows to hold back for evaluation: below 1 a share (0.1 is a tenth), from 1 on a number of
    rows. 0: none."""

    eval_on_each_dataset: Annotated[bool, Form("advanced")] = False
    """Evaluate each data set alone and report `eval_<name>_loss` for each."""

    packing: Annotated[bool | None, Form("advanced")] = None
    """Put several short rows into one sequence of `cutoff_len` tokens, so that no time goes into padding. Rows in one
    sequence see each other; see `neat_packing`. Unset: on in pre-training, else off."""

    neat_packing: Annotated[bool | None, Form("advanced", when=(IN_SEQUENCES,))] = None
    """Pack, and keep packed rows from seeing each other. Turns `packing` on. Unset: on in pre-training, else off."""

    padding_free: Annotated[bool, Form("advanced", when=(IN_SFT,))] = False
    """Lay the rows of a batch end to end instead of filling them up to one length; they do not see each other. Saves
    time where rows differ much in length and the attention is flash attention."""

    tool_format: Annotated[str | None, Form()] = None
    """How a named template writes tools and their calls. Unset: as its model family does it. Acts with `template`
    only: the tokenizer's own template has its own way."""

    default_system: Annotated[str | None, Form("advanced", multiline=True)] = None
    """System prompt of rows that have none of their own. Unset: what the chat template does by itself."""

    enable_thinking: Annotated[Literal[True, False, "mixed"], Form("advanced")] = True
    """For models that think: `true` learns an empty thought where a row has none, `false` drops thoughts and puts the
    empty one into the prompt, `"mixed"` leaves rows as they are (LLaMA-Factory's null)."""

    preserve_thinking: Annotated[bool, Form()] = False
    """Keep the thoughts of earlier answers in the conversation."""

    tokenized_path: Annotated[str | None, Form("advanced")] = None
    """A folder to keep the prepared rows in, and to take them from when it exists and was made from the same files
    with the same settings. Without it they are kept in the cache folder."""

    data_shared_file_system: Annotated[bool, Form(available=False)] = False
    """All machines of a multi-machine run see the same disk, so that one alone prepares the rows."""

    on_bad_row: Annotated[Literal["stop", "skip"], Form("advanced")] = "stop"
    """What happens when rows cannot be used (broken JSON, a missing column, no answer): `stop` names them by file and
    line and trains nothing; `skip` leaves them out and says how many. LLaMA-Factory always skips."""
