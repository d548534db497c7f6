"""The entry point of a training process: from a run directory to weights in its checkpoints.

Everything that the user did wrong ends as one line in the events and the log; a bug leaves its traceback in the log.
"""

from __future__ import annotations

import json
import os
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config import Hardware, Recipe
from trainer.data import DataReport, prepare
from trainer.data.adapter_folder import with_found_adapters
from trainer.data.check import findings_at_start
from trainer.data.model_folder import recipe_hub_model, recipe_model_folder
from trainer.engine.redaction import redact_output
from trainer.engine.results import draw_loss, upload_result
from trainer.errors import UserError
from trainer.run import Checkpoint, ResumeEvent, RunDirectory, inspect_checkpoint
from trainer.run.messages import Words, words
from trainer.run.result import ENDS_WITH_BEST

if TYPE_CHECKING:
    from trainer.engine.checkpoints import CheckpointWriter
    from trainer.engine.session import RunSession


def train(folder: Path, *, resume: bool) -> int:
    """Train the run in `folder`; returns the exit code: 0 finished or stopped, 1 failed."""
    from trainer.engine.preparation import PreparationStopped
    from trainer.engine.session import RunSession

    redact_output()
    session = RunSession(RunDirectory(folder))
    session.watch_signals()
    try:
        return _train(session, resume=resume)
    except PreparationStopped:
        session.end("stopped", words("run_stopped_unsaved", reason=session.stop_reason, step=0), _step(session))
        return 0
    except UserError as error:
        session.end("failed", words("run_refused", problem=str(error)), _step(session))
    except Exception as error:
        traceback.print_exc()
        told = f"{type(error).__name__}: {error}"
        session.end("failed", words("run_crashed", error=told, log=str(session.run.log_file)), _step(session))
    return 1


def _train(session: RunSession, *, resume: bool) -> int:
    from trainer.engine.preparation import DownloadNews, PreparationProgress

    recipe = with_found_adapters(session.run.recipe(), download=True, progress=DownloadNews(session))
    session.phase("preparing", "reading data")
    data = prepare(recipe, progress=PreparationProgress(session))
    if data.stream is None:
        only_evaluated = data.evaluation_report if not recipe.train.do_train else None
        for finding in findings_at_start(recipe, only_evaluated or data.report):
            session.finding(finding.severity, finding)
    _fetch_model(session, recipe)
    session.phase("preparing", "importing torch and the trainers")
    _choose_device(session)
    # The rows are encoded: workers that are forked from here on need no threads of the tokenizer, and cannot have them.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _quiet()
    from trainer.building import build_trainer
    from trainer.engine.live import LiveControl, StopTraining
    from trainer.engine.memory import say_estimate, say_peak
    from trainer.engine.resume import checkpoint_to_resume, settings_journal
    from trainer.engine.step_guard import NotFinite

    checkpoint = checkpoint_to_resume(session, recipe.train.resume_from_checkpoint, resume=resume)
    longest = None if data.stream is not None else max(data.train.lengths(), default=None)
    memory = say_estimate(session, recipe, longest) if recipe.train.do_train else None
    trainer = build_trainer(session, recipe, data)
    checkpoints = _checkpoint_writer(session, trainer, recipe)
    if checkpoint is not None or resume:
        _say_resumed(session, checkpoint)
    live = LiveControl(session, settings_journal(session.run) if resume else [], list(recipe.train.sample_prompts))
    trainer.attach(session, live, checkpoints, recipe)
    if checkpoint is not None:
        checkpoints.last_step = checkpoint.step
        trainer.evaluation_due = bool(checkpoint.details.get("evaluation_due"))
        if (state := checkpoint.details.get("stage_state")) is not None:
            trainer.restore_stage(state, checkpoint.path)
    session.start_telemetry(recipe.train.telemetry_seconds)
    if not recipe.train.do_train:
        return _only_evaluate(session, trainer, checkpoint)
    if checkpoint is not None and _all_steps_done(checkpoint, recipe):
        return _finish_what_was_done(session, trainer, checkpoint)
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.path))
    except StopTraining:
        trainer.stopped = True
        step = int(trainer.state.global_step)
        saved = trainer.checkpoints.last_step == step
        trainer.live.answer_stop(f"stopped, saved at step {step}" if saved else "stopped without saving")
        _close_callbacks(trainer)
    except NotFinite as error:
        _close_callbacks(trainer)
        draw_loss(session, recipe, int(trainer.state.global_step))
        session.end("failed", error.said, int(trainer.state.global_step))
        return 1
    say_peak(session, memory, int(trainer.state.global_step))
    return _end(session, trainer, recipe)


def _checkpoint_writer(session: RunSession, trainer: Any, recipe: Recipe) -> CheckpointWriter:
    """Saves the run's checkpoints, each with what it takes to load it again."""
    from trainer.engine.checkpoints import CheckpointWriter
    from trainer.model.adapters import MERGED, lasting_name, merged_adapters
    from trainer.model.load import base_model_name
    from trainer.model.loading_record import LoadingRecord

    return CheckpointWriter(
        session,
        details={
            "format": 1,
            "run": session.run.name,
            "stage": recipe.method.stage,
            "finetuning_type": recipe.method.finetuning_type,
            "base_model": lasting_name(base_model_name(recipe)),
            MERGED: merged_adapters(recipe),
            "loading": LoadingRecord.of_run(recipe, trainer.model.config).as_json(),
        },
        keep=recipe.train.save_total_limit,
        save_only_model=recipe.train.save_only_model,
    )


def _end(session: RunSession, trainer: Any, recipe: Recipe) -> int:
    """What follows the last step, whether all were done or the run was stopped."""
    _tell_of_the_stream(session, trainer)
    step, saved = int(trainer.state.global_step), trainer.checkpoints.last_step
    if trainer.stopped:
        draw_loss(session, recipe, step)
        name = "run_stopped_saved" if saved == step else "run_stopped_unsaved"
        session.end("stopped", words(name, reason=session.stop_reason, step=max(0, saved)), step)
    else:
        ended = _summary(trainer, step)
        result = _result_step(trainer, ended, saved)
        _look_at_result(session, trainer, result, evaluates=recipe.train.do_eval, predicts=recipe.train.do_predict)
        draw_loss(session, recipe, step)
        upload_result(session, recipe, result)
        session.end("finished", ended, step)
    return 0


def _fetch_model(session: RunSession, recipe: Recipe) -> None:
    """Download the model, if it is one of a hub and not here yet, and say which state of it is used."""
    from trainer.engine.preparation import DownloadNews

    model = recipe_hub_model(recipe)
    if model is None or Path(str(recipe.model.model_name_or_path)).is_dir():
        return
    session.phase("preparing", f"looking for {model.name}")
    folder = recipe_model_folder(recipe, progress=DownloadNews(session))
    session.status.update(rows=0, total_rows=0)
    session.finding("info", words("run_hub_model", model=str(model), state=folder.name[:12], folder=str(folder)))


def _result_step(trainer: Any, ended: Words, last: int) -> int:
    """The step of the checkpoint that the run ends with: the best one where it was to, else the last."""
    return int(trainer.state.best_global_step or last) if ended.id == ENDS_WITH_BEST else last


def _close_callbacks(trainer: Any) -> None:
    """Where the training was left by an exception, the Trainer does not say so to profilers and services."""
    trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)


def _all_steps_done(checkpoint: Checkpoint, recipe: Recipe) -> bool:
    """Whether the checkpoint is that of the last step: the Trainer would train one more before it looks."""
    state = json.loads((checkpoint.path / "trainer_state.json").read_text(encoding="utf-8"))
    last = recipe.train.max_steps if recipe.train.max_steps > 0 else int(state["max_steps"])
    return checkpoint.step >= last


def _finish_what_was_done(session: RunSession, trainer: Any, checkpoint: Checkpoint) -> int:
    """End a run that was interrupted after its last save; an evaluation that is missing comes first."""
    from trainer.engine.predictions import has_predicted

    trainer.state.global_step = checkpoint.step
    if trainer.evaluation_due:
        trainer._load_from_checkpoint(str(checkpoint.path))
        _look_at_result(session, trainer, checkpoint.step, evaluates=True, predicts=False)
    if trainer.recipe.train.do_predict and not has_predicted(session):
        result = _best_of(trainer, checkpoint)
        trainer._load_from_checkpoint(str(result.path))
        _look_at_result(session, trainer, result.step, evaluates=False, predicts=True)
    draw_loss(session, trainer.recipe, checkpoint.step)
    upload_result(session, trainer.recipe, checkpoint.step)
    session.end("finished", words("run_nothing_left_to_do", step=checkpoint.step), checkpoint.step)
    return 0


def _best_of(trainer: Any, last: Checkpoint) -> Checkpoint:
    """The checkpoint that a run ends with, as the last one tells."""
    best = json.loads((last.path / "trainer_state.json").read_text(encoding="utf-8")).get("best_global_step")
    wanted = last.path.with_name(f"step-{best:08d}") if best and trainer.recipe.train.load_best_model_at_end else None
    found = None if wanted is None else inspect_checkpoint(wanted, verify="size")
    return found if isinstance(found, Checkpoint) else last


def _look_at_result(session: RunSession, trainer: Any, step: int, *, evaluates: bool, predicts: bool) -> None:
    """The evaluation and the predictions that come after the training; the weights are safe, and neither costs the
    run. `step` is that of the weights.
    """
    from trainer.engine.live import EvaluationInterrupted
    from trainer.engine.predictions import write_predictions

    if trainer.eval_dataset is None:
        return
    try:
        if evaluates:
            trainer.evaluate()
        if predicts:
            write_predictions(trainer, session, step)
    except EvaluationInterrupted:
        reason = trainer.live.answer_stop("the evaluation was given up")
        session.finding("warning", words("run_evaluation_given_up", reason=reason), step)
    except Exception as error:
        traceback.print_exc()
        said = words("run_result_not_evaluated", error=f"{type(error).__name__}: {error}".splitlines()[0])
        session.finding("warning", said, step)


def _only_evaluate(session: RunSession, trainer: Any, checkpoint: Checkpoint | None) -> int:
    """A run with `do_train = false`: what is asked for, with the weights as they are or as a checkpoint has them."""
    from trainer.engine.live import EvaluationInterrupted
    from trainer.engine.predictions import write_predictions

    step = 0 if checkpoint is None else checkpoint.step
    if checkpoint is not None:
        trainer._load_from_checkpoint(str(checkpoint.path))
        trainer.state.global_step = step
    try:
        if trainer.recipe.train.do_eval:
            trainer.evaluate()
        if trainer.recipe.train.do_predict:
            write_predictions(trainer, session, step)
    except EvaluationInterrupted:
        reason = trainer.live.answer_stop("stopped")
        session.end("stopped", words("run_evaluation_stopped", reason=reason), step)
    else:
        session.end("finished", words("run_only_evaluated"), step)
    return 0


def _tell_of_the_stream(session: RunSession, trainer: Any) -> None:
    """Which rows of a stream were left out; only now all that were read are known."""
    if trainer.rows_read:
        report = DataReport.together([counts.report(0.0) for counts in trainer.rows_read.values()])
        for finding in report.findings(on_bad_row="skip"):
            session.finding(finding.severity, finding, int(trainer.state.global_step))


def _summary(trainer: Any, step: int) -> Words:
    """How a run that was not stopped by anybody ended."""
    best = trainer.state.best_global_step
    if step < trainer.state.max_steps:
        return words("run_early", step=step, best=best)
    if not best:
        return words("run_all_steps", step=step)
    kind = "run_ends_with_best" if trainer.args.load_best_model_at_end else "run_all_steps_best"
    return words(kind, step=step, best=best)


def _choose_device(session: RunSession) -> None:
    """A run trains on one GPU; without this, transformers would spread one process over all that it sees."""
    count = Hardware.detect().gpu_count
    if count > 1 and "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = "0"
        session.finding("warning", words("run_one_gpu", count=count))


def _say_resumed(session: RunSession, checkpoint: Checkpoint | None) -> None:
    step, name = (0, "") if checkpoint is None else (checkpoint.step, checkpoint.path.name)
    session.events.write(ResumeEvent(step=step, checkpoint=name))
    session.status.update(step=step, last_checkpoint=name)
    print(f"resuming from {name}" if name else "starting from the beginning: there is no checkpoint yet", flush=True)


def _quiet() -> None:
    """Keep progress bars and known noise of the libraries out of the log."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def _step(session: RunSession) -> int:
    status = session.run.status()
    return 0 if status is None else status.step
