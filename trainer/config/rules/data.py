"""Rules about rows: what is trained and evaluated on, streams, mixtures. What only files tell is in trainer.data."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.config.finding import Finding
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error, warning
from trainer.config.rules.sharding import is_zero3
from trainer.config.tables.names import ANSWER_SCORES

_SUM_TOLERANCE = 1e-3
_PACKED_STAGES = ("pt", "sft")
_PREDICTED_STAGES = ("sft", "rm")
_FLASH = ("fa2", "fa3")


def has_evaluation_data(recipe: Recipe) -> bool:
    """Whether there is anything to evaluate on."""
    return bool(recipe.data.eval_dataset) or recipe.data.val_size > 0


def model_is_named(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """A model has to be named."""
    if not recipe.model.model_name_or_path:
        yield error("no_model", "model.model_name_or_path")


def there_is_something_to_do(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Training needs rows, and something has to be switched on."""
    train = recipe.train
    if train.do_train and not recipe.data.dataset:
        yield error("no_dataset", "data.dataset", "train.do_train")
    if not (train.do_train or train.do_eval or train.do_predict):
        fields = ("train.do_train", "train.do_eval", "train.do_predict")
        yield error("nothing_to_do", *fields, change={"train.do_train": True})


def validation_split(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """`val_size` needs training rows, excludes `eval_dataset`, and counts whole rows from 1 on."""
    size = recipe.data.val_size
    if size == 0:
        return
    if not recipe.data.dataset:
        yield error("val_size_without_dataset", "data.val_size", "data.dataset", change={"data.val_size": 0.0})
    if recipe.data.eval_dataset:
        yield error("val_size_and_eval_dataset", "data.val_size", "data.eval_dataset", change={"data.val_size": 0.0})
    if size >= 1 and size != int(size):
        yield error("val_size_not_whole", "data.val_size", change={"data.val_size": float(int(size))}, value=size)


def evaluation_and_its_rows(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Evaluation needs rows, and rows held back want an evaluation."""
    train = recipe.train
    asking = [name for name in ("do_eval", "do_predict") if getattr(train, name)]
    if train.eval_strategy != "no":
        asking.insert(0, "eval_strategy")
    if asking and not has_evaluation_data(recipe):
        asked = f"train.{asking[0]}"
        change: dict[str, object] = {"data.val_size": 0.1}
        yield error(
            "evaluation_without_data", asked, "data.eval_dataset", "data.val_size", change=change, asked=asking[0]
        )
    if has_evaluation_data(recipe) and not asking:
        given = "eval_dataset" if recipe.data.eval_dataset else "val_size"
        fields = (f"data.{given}", "train.eval_strategy")
        yield warning("evaluation_data_unused", *fields, change={"train.eval_strategy": "steps"}, given=given)


def evaluation_on_other_rows(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Evaluating on what was learned tells nothing."""
    both = [name for name in recipe.data.eval_dataset if name in recipe.data.dataset]
    if both:
        fields = ("data.eval_dataset", "data.dataset")
        yield warning("evaluation_on_training_rows", *fields, names=", ".join(both))


def mixture(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Probabilities go with interleaving, one for each data set, adding up to 1."""
    data = recipe.data
    if not data.interleave_probs:
        return
    unset: dict[str, object] = {"data.interleave_probs": []}
    if data.mix_strategy == "concat":
        fields = ("data.interleave_probs", "data.mix_strategy")
        yield error("interleave_probs_without_interleave", *fields, change=unset, strategy=data.mix_strategy)
    if len(data.interleave_probs) != len(data.dataset):
        count, datasets = len(data.interleave_probs), len(data.dataset)
        fields = ("data.interleave_probs", "data.dataset")
        yield error("interleave_probs_count", *fields, change=unset, count=count, datasets=datasets)
    total = sum(data.interleave_probs)
    if min(data.interleave_probs) <= 0 or abs(total - 1) > _SUM_TOLERANCE:
        yield error("interleave_probs_values", "data.interleave_probs", change=unset, total=round(total, 4))


def streams(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """A stream has no length: what needs one is refused."""
    data, train = recipe.data, recipe.train
    if not data.streaming:
        return
    if 0 < data.val_size < 1:
        fields = ("data.val_size", "data.streaming")
        yield error("streaming_val_size", *fields, change={"data.val_size": 100.0}, value=data.val_size)
    if train.do_train and train.max_steps < 0:
        yield error("streaming_max_steps", "train.max_steps", "data.streaming")
    if data.max_samples is not None:
        yield error("streaming_max_samples", "data.max_samples", "data.streaming", change={"data.max_samples": None})
    if data.tokenized_path is not None:
        fields = ("data.tokenized_path", "data.streaming")
        yield error("streaming_tokenized_path", *fields, change={"data.streaming": False})
    for name in ("eval_strategy", "save_strategy"):
        if getattr(train, name) == "epoch":
            yield error(
                "streaming_epochs", f"train.{name}", "data.streaming", change={f"train.{name}": "steps"}, name=name
            )
    if data.eval_on_each_dataset and data.val_size and not data.eval_dataset:
        fields = ("data.eval_on_each_dataset", "data.streaming")
        yield error("streaming_each_dataset", *fields, change={"data.eval_on_each_dataset": False})
    if train.do_train and data.on_bad_row == "stop":
        fields = ("data.on_bad_row", "data.streaming")
        yield warning("streaming_stops_at_bad_row", *fields, change={"data.on_bad_row": "skip"})


def labels(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Two settings that say opposite things about the labels."""
    if recipe.data.mask_history and recipe.data.train_on_prompt:
        fields = ("data.mask_history", "data.train_on_prompt")
        yield error("mask_history_and_train_on_prompt", *fields, change={"data.train_on_prompt": False})


def packing(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """The ways to put rows into one sequence go with each other, with the stage, and with what they make useless."""
    data, stage = recipe.data, recipe.method.stage
    if data.neat_packing and data.packing is False:
        fields = ("data.neat_packing", "data.packing")
        yield error("neat_packing_without_packing", *fields, change={"data.packing": True})
    if data.packing and stage not in _PACKED_STAGES:
        yield error("packing_in_stage", "data.packing", "method.stage", change={"data.packing": None}, stage=stage)
    if data.packing and data.padding_free and not data.neat_packing:
        fields = ("data.packing", "data.padding_free")
        yield error("packing_and_padding_free", *fields, change={"data.neat_packing": True})
    isolating = "neat_packing" if data.neat_packing else "padding_free"
    if (data.neat_packing or data.padding_free) and not data.ignore_pad_token_for_loss:
        fields = ("data.ignore_pad_token_for_loss", f"data.{isolating}")
        yield warning("padding_is_not_learned", *fields, change={fields[0]: True}, name=isolating)
    if stage == "pt" and data.packing is not False and data.on_long_row != "truncate":
        fields = ("data.on_long_row", "data.packing")
        yield warning("long_rows_are_cut_up", *fields, change={fields[0]: "truncate"}, value=data.on_long_row)


def padding_free(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Laying a batch end to end pays with flash attention alone: the others compute all of it against all of it."""
    attention, rows = recipe.model.flash_attn, recipe.train.per_device_train_batch_size
    if recipe.data.padding_free and attention not in _FLASH and rows > 1:
        fields = ("data.padding_free", "model.flash_attn")
        change: dict[str, object] = {"data.padding_free": False, "data.neat_packing": True}
        yield warning("padding_free_without_flash", *fields, change=change, attention=attention)


def each_dataset(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """There has to be something to evaluate on, for each data set or for all."""
    if recipe.data.eval_on_each_dataset and not has_evaluation_data(recipe):
        fields = ("data.eval_on_each_dataset", "data.eval_dataset")
        yield warning("each_dataset_without_evaluation", *fields, change={fields[0]: False})


def tool_format(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """The tokenizer's own template writes tools in its own way."""
    if recipe.data.tool_format is not None and recipe.data.template is None:
        fields = ("data.tool_format", "data.template")
        yield warning("tool_format_without_template", *fields, change={fields[0]: None}, value=recipe.data.tool_format)


def prediction(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What generates answers, when, and where they begin."""
    train, stage = recipe.train, recipe.method.stage
    if train.do_predict and stage not in _PREDICTED_STAGES:
        change: dict[str, object] = {"train.do_predict": False}
        yield error("predict_in_stage", "train.do_predict", "method.stage", change=change, stage=stage)
    if stage == "sft" and train.do_predict and not train.predict_with_generate:
        fields = ("train.do_predict", "train.predict_with_generate")
        yield error("predict_without_generate", *fields, change={"train.predict_with_generate": True})
    if train.predict_with_generate and is_zero3(recipe):
        fields = ("train.predict_with_generate", "train.deepspeed")
        yield error("predict_with_generate_and_zero3", *fields, change={fields[0]: False})
    if train.predict_with_generate and recipe.data.train_on_prompt:
        fields = ("train.predict_with_generate", "data.train_on_prompt")
        yield error("predict_with_generate_and_train_on_prompt", *fields, change={fields[0]: False})
    if train.predict_with_generate and train.eval_strategy == "no" and not (train.do_eval or train.do_predict):
        fields = ("train.predict_with_generate", "train.eval_strategy")
        yield warning("predict_with_generate_unused", *fields, change={"train.do_predict": True})


def scores_of_answers(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """The best model can go by the score of answers where there are answers."""
    train, metric = recipe.train, recipe.train.metric_for_best_model
    if metric and metric.endswith(ANSWER_SCORES) and not train.predict_with_generate:
        fields = ("train.metric_for_best_model", "train.predict_with_generate")
        yield error("score_without_answers", *fields, change={fields[1]: True}, metric=metric)


def picture_sizes(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """The smallest size is not above the largest."""
    for kind, rule in (("image", "image_pixels"), ("video", "video_pixels")):
        low_key, high_key = f"multimodal.{kind}_min_pixels", f"multimodal.{kind}_max_pixels"
        low, high = int(str(recipe.value(low_key))), int(str(recipe.value(high_key)))
        if low > high:
            yield error(rule, low_key, high_key, change={low_key: high, high_key: low}, low=low, high=high)


DATA_RULES: tuple[Rule, ...] = (
    model_is_named,
    there_is_something_to_do,
    validation_split,
    evaluation_and_its_rows,
    evaluation_on_other_rows,
    mixture,
    streams,
    labels,
    packing,
    padding_free,
    each_dataset,
    tool_format,
    prediction,
    scores_of_answers,
    picture_sizes,
)
