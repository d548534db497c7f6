"""Measuring where the time of a step goes: PyTorch's profiler around chosen steps, and the time of single modules.

Not for throughput: that is always measured (`throughput`). Profiled steps are slower than others.
"""

from __future__ import annotations

import time
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from trainer.config import Recipe
from trainer.engine.session import RunSession
from trainer.errors import UserError
from trainer.run.messages import words

_TABLE_ROWS = 40


def profiling_callbacks(session: RunSession, recipe: Recipe, model: torch.nn.Module) -> list[TrainerCallback]:
    """What the recipe asks to be measured.

    Raises: UserError when the folder cannot be made, or no module has a name that matches.
    """
    table = recipe.profiler
    if not table.enable_torch_profiler and not table.profile_modules:
        return []
    folder = Path(table.profiler_output_dir).expanduser() if table.profiler_output_dir else session.run.path / "profile"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be made: {error.strerror}", file=folder, field="profiler_output_dir") from error
    made: list[TrainerCallback] = []
    if table.enable_torch_profiler:
        made.append(TraceCallback(session, recipe, folder))
    if table.profile_modules:
        made.append(ModuleTimes(session, recipe, folder, model))
    return made


class Schedule:
    """Which steps are recorded: `wait` and `warmup` pass, `active` count, and so on `repeat` times (0: always)."""

    def __init__(self, recipe: Recipe) -> None:
        table = recipe.profiler
        self.before = table.profiler_wait_steps + table.profiler_warmup_steps
        self.active = table.profiler_active_steps
        self.repeat = table.profiler_repeat

    def is_recorded(self, step: int) -> bool:
        """Whether the `step`-th step of this process, counted from 0, is recorded."""
        cycle, place = divmod(step, self.before + self.active)
        return place >= self.before and (not self.repeat or cycle < self.repeat)

    def ends_with(self, step: int) -> bool:
        """Whether a recording ends with this step."""
        return self.is_recorded(step) and (step + 1) % (self.before + self.active) == 0


class TraceCallback(TrainerCallback):
    """Writes a trace and a table of the operations for each recording."""

    def __init__(self, session: RunSession, recipe: Recipe, folder: Path) -> None:
        self._session, self._folder, self._table = session, folder, recipe.profiler
        self._profiler: Any = None
        self._step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start to watch."""
        activities = [torch.profiler.ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        table = self._table
        self._profiler = torch.profiler.profile(
            activities=activities,
            schedule=torch.profiler.schedule(
                wait=table.profiler_wait_steps,
                warmup=table.profiler_warmup_steps,
                active=table.profiler_active_steps,
                repeat=table.profiler_repeat,
            ),
            on_trace_ready=self._write,
            record_shapes=table.profiler_record_shapes,
            profile_memory=table.profiler_profile_memory,
            with_stack=table.profiler_with_stack,
        )
        self._profiler.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell the profiler that an optimizer step is over."""
        self._step = int(state.global_step)
        if self._profiler is not None:
            self._profiler.step()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop; a recording that was cut short is written as far as it got."""
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler = None

    def _write(self, profiler: Any) -> None:
        name = f"step-{self._step:08d}"
        try:
            trace = self._folder / f"{name}.trace.json"
            profiler.export_chrome_trace(str(trace))
            order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
            table = profiler.key_averages().table(sort_by=order, row_limit=_TABLE_ROWS)
            (self._folder / f"{name}.operations.txt").write_text(table, encoding="utf-8")
        except (OSError, RuntimeError) as error:
            # A full disk must not cost the run.
            self._session.finding("warning", words("run_no_trace", error=str(error)), self._step)
            return
        self._session.finding("info", words("run_trace_written", step=self._step, path=str(trace)), self._step)


class ModuleTimes(TrainerCallback):
    """Times forward and backward of the modules whose names match, in the recorded steps.

    With gradient checkpointing the forward pass runs twice, and both count.
    """

    def __init__(self, session: RunSession, recipe: Recipe, folder: Path, model: torch.nn.Module) -> None:
        pattern = str(recipe.profiler.profile_modules)
        patterns = [part.strip() for part in pattern.split(",") if part.strip()]
        self._modules = {
            name: module
            for name, module in model.named_modules()
            if name and any(fnmatch(name, part) or fnmatch(name, f"*.{part}") for part in patterns)
        }
        if not self._modules:
            # In the order of the model, in which the parts of the first layer stand early.
            inner = [name.rpartition(".")[2] for name, module in model.named_modules() if any(module.children())]
            names = list(dict.fromkeys(name for name in inner if name and not name.isdigit()))
            some = ", ".join(dict.fromkeys([*get_close_matches(pattern, names), *names[:12]]))
            raise UserError(
                "no module of the model has such a name",
                field="profile_modules",
                value=pattern,
                hint=f"Some are: {some}",
            )
        self._session, self._folder = session, folder
        self._schedule = Schedule(recipe)
        self._on_gpu = torch.cuda.is_available()
        self._step = 0
        self._handles: list[Any] = []
        self._begun: dict[tuple[str, str], Any] = {}
        self._spans: list[tuple[str, str, Any, Any]] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Hooks hang on the modules only while steps are recorded."""
        if not self._schedule.is_recorded(self._step) or self._handles:
            return
        for name, module in self._modules.items():
            self._handles += [
                module.register_forward_pre_hook(self._begin(name, "forward")),
                module.register_forward_hook(self._end(name, "forward")),
                module.register_full_backward_pre_hook(self._begin(name, "backward")),
                module.register_full_backward_hook(self._end(name, "backward")),
            ]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """At the end of a recording, write the table and take the hooks off."""
        if self._schedule.ends_with(self._step):
            self._write(int(state.global_step))
        self._step += 1

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A recording that was cut short is written as far as it got."""
        if self._spans:
            self._write(int(state.global_step))

    def _begin(self, name: str, kind: str) -> Any:
        def hook(*_: Any) -> None:
            self._begun[name, kind] = self._now()

        return hook

    def _end(self, name: str, kind: str) -> Any:
        def hook(*_: Any) -> None:
            begun = self._begun.pop((name, kind), None)
            if begun is not None:
                self._spans.append((name, kind, begun, self._now()))

        return hook

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _milliseconds(self, begun: Any, ended: Any) -> float:
        return float(begun.elapsed_time(ended)) if self._on_gpu else 1000 * (ended - begun)

    def _write(self, step: int) -> None:
        for handle in self._handles:
            handle.remove()
        if self._on_gpu:
            torch.cuda.synchronize()
        times: dict[str, dict[str, list[float]]] = {}
        for name, kind, begun, ended in self._spans:
            times.setdefault(name, {"forward": [], "backward": []})[kind].append(self._milliseconds(begun, ended))
        self._handles, self._spans = [], []
        self._begun.clear()
        path = self._folder / f"step-{step:08d}.modules.tsv"
        try:
            path.write_text(module_table(times), encoding="utf-8")
        except OSError as error:
            self._session.finding("warning", words("run_no_trace", error=str(error)), step)
            return
        self._session.finding("info", words("run_modules_timed", count=len(times), path=str(path)), step)


def module_table(times: dict[str, dict[str, list[float]]]) -> str:
    """Name, number of calls and mean milliseconds of each pass, the slowest first; columns with tabs between."""
    rows = []
    for name, kinds in times.items():
        total = sum(kinds["forward"]) + sum(kinds["backward"])
        cells = [name]
        for kind in ("forward", "backward"):
            spans = kinds[kind]
            cells += [str(len(spans)), f"{sum(spans) / len(spans):.3f}" if spans else ""]
        rows.append((total, [*cells, f"{total:.3f}"]))
    head = ["module", "forward_calls", "forward_ms", "backward_calls", "backward_ms", "total_ms"]
    rows.sort(key=lambda row: -row[0])
    return "".join("\t".join(cells) + "\n" for cells in [head, *(cells for _, cells in rows)])
