"""The run directory: where everything of a run lies, and making, finding and deleting runs. Not for what runs do."""

from __future__ import annotations

import difflib
import errno
import itertools
import os
import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer import __version__, paths
from trainer.errors import UserError
from trainer.run.commands import send_command
from trainer.run.files import read_json, sync_folder, to_json, write_whole
from trainer.run.process import this_process
from trainer.run.recipe_file import recipe_text
from trainer.run.status import RunState, Status, infer_state, read_status

if TYPE_CHECKING:
    from trainer.config import Recipe, Resolved

FORMAT = 1  # of the run directory; a newer one is refused with a word about upgrading
_GOOD_NAME = re.compile(r"[^\W_][\w.+=-]{0,99}")


@dataclass(frozen=True)
class Identity:
    """The content of run.json: what the run is, written once. `created` in wall seconds.

    `working_folder` is where the run was made: relative paths of the recipe start there, also on resume.
    `extra` holds what the maker added, dataset fingerprints for example.
    """

    name: str
    preset: str
    created: float
    version: str
    host: str
    boot_id: str
    working_folder: str
    git: str
    format: int = FORMAT
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunDirectory:
    """One run. Holds nothing but the path: every method looks at the disk."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe, TOML."""
        return self.path / "recipe.toml"

    @property
    def identity_file(self) -> Path:
        """What the run is; a folder without it is no run."""
        return self.path / "run.json"

    @property
    def status_file(self) -> Path:
        """What the trainer is doing, replaced as a whole."""
        return self.path / "status.json"

    @property
    def events_file(self) -> Path:
        """The journal, append-only JSON lines."""
        return self.path / "events.jsonl"

    @property
    def commands_folder(self) -> Path:
        """Where commands are dropped."""
        return self.path / "commands"

    @property
    def log_file(self) -> Path:
        """Everything that the trainer printed."""
        return self.path / "trainer.log"

    @property
    def lock_file(self) -> Path:
        """Locked by the trainer that writes the run."""
        return self.path / ".lock"

    @property
    def checkpoints_folder(self) -> Path:
        """The checkpoints, `step-00000200` each."""
        return self.path / "checkpoints"

    @property
    def evaluation_folder(self) -> Path:
        """What `do_predict` writes: the predictions and their scores."""
        return self.path / "evaluation"

    @property
    def samples_folder(self) -> Path:
        """Longer generations that do not belong into an event."""
        return self.path / "samples"

    def exists(self) -> bool:
        """There is a run here."""
        return self.identity_file.is_file()

    def recipe(self) -> Recipe:
        """The recipe that the run was made with. Raises: UserError."""
        from trainer.config import load_preset

        return load_preset(str(self.recipe_file)).recipe

    def identity(self) -> Identity:
        """What the run is. Raises: UserError when run.json is missing, damaged or newer than this program."""
        record = read_json(self.identity_file)
        if record is None:
            raise UserError("is not a run directory (run.json is missing or damaged)", file=self.path)
        identity = _identity(self.name, record)
        if identity is None:
            raise UserError("is not a run directory (run.json is damaged)", file=self.path)
        if identity.format > FORMAT:
            raise UserError("was made by a newer trimtab", file=self.path, hint="Upgrade trimtab to open it")
        return identity

    def status(self) -> Status | None:
        """What the trainer last said; None before it said anything."""
        return read_status(self)

    def state(self) -> RunState:
        """What the run is doing, inferred: the status alone may be that of a process which is gone."""
        return infer_state(self)

    def send(self, verb: str, **arguments: Any) -> int:
        """Drop a command for the trainer; its number. The answer comes as an event. Raises: UserError."""
        return send_command(self.commands_folder, verb, arguments)


def _identity(name: str, record: Mapping[str, Any]) -> Identity | None:
    """What run.json says; None when it holds something else than we write."""
    try:
        return Identity(
            name=name,
            preset=str(record.get("preset", "")),
            created=float(record.get("created", 0.0)),
            version=str(record.get("version", "")),
            host=str(record.get("host", "")),
            boot_id=str(record.get("boot_id", "")),
            working_folder=str(record.get("working_folder", "")),
            git=str(record.get("git", "")),
            format=int(record.get("format", FORMAT)),
            extra=dict(record.get("extra", {})),
        )
    except (TypeError, ValueError, OverflowError):
        return None


def create_run(
    preset_name: str,
    resolved: Resolved,
    *,
    name: str | None = None,
    folder: Path | None = None,
    extra_identity: Mapping[str, Any] | None = None,
    name_field: str = "run_name",
) -> RunDirectory:
    """Make a new run directory in `folder` (default: the runs folder), complete before it appears under its name.

    Without a `name` it is the preset's with the first number behind it that no run has, here or elsewhere. `name_field`
    is what an error calls the `name`.
    Raises: UserError when the run exists, the name cannot be a folder, or the disk refuses.
    """
    parent = (folder or paths.runs_folder()).resolve()
    if name is not None:
        check_run_name(name, name_field)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        staging = parent / f".creating-{os.getpid()}-{time.monotonic_ns()}"
        try:
            _fill_new_run(staging, preset_name, resolved, extra_identity or {})
            run = _move_into_place(staging, parent, _base_name(preset_name), name, name_field)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        register(run.path)
    except OSError as error:
        raise UserError(
            f"cannot make the run: {error.strerror}",
            file=error.filename or parent,
            hint="Free some space or set TRIMTAB_RUNS to a folder that you may write",
        ) from error
    return run


def check_run_name(name: str, field: str) -> None:
    """Raises: UserError when the name cannot be that of a run."""
    if not _GOOD_NAME.fullmatch(name):
        raise UserError(
            "is not a good name for a run", field=field, value=name, hint="Use letters, digits, '-', '_' and '.'"
        )


def run_place(recipe: Recipe) -> tuple[Path | None, str | None]:
    """`folder` and `name` for `create_run`, as `train.output_dir` (the run directory itself) and `run_name` ask."""
    train = recipe.train
    if train.output_dir:
        place = Path(train.output_dir).expanduser().resolve()
        return place.parent, place.name
    return None, train.run_name


def free_run_name(preset_name: str, folder: Path | None = None) -> str:
    """The name that `create_run` would give a run of that preset in `folder` (default: the runs folder) now."""
    parent = folder or paths.runs_folder()
    taken = {run.name for run in list_runs()}
    return next(name for name in _numbered(_base_name(preset_name), taken) if not (parent / name).exists())


def _base_name(preset_name: str) -> str:
    return re.sub(r"[^\w.+=-]+", "-", Path(preset_name).stem).lstrip("-._") or "run"


def _numbered(base: str, taken: Collection[str]) -> Iterator[str]:
    """The base with 1, 2, 3 ... behind it, without what is taken."""
    return (name for number in itertools.count(1) if (name := f"{base}-{number}") not in taken)


def _fill_new_run(staging: Path, preset_name: str, resolved: Resolved, extra_identity: Mapping[str, Any]) -> None:
    staging.mkdir(mode=0o700)
    run = RunDirectory(staging)
    for inner in (run.commands_folder, run.checkpoints_folder, run.samples_folder):
        inner.mkdir(mode=0o700)
    process = this_process()
    identity = {
        "format": FORMAT,
        "preset": preset_name,
        "created": time.time(),
        "version": __version__,
        "host": process.host,
        "boot_id": process.boot_id,
        "working_folder": str(Path.cwd()),
        "git": git_commit(Path.cwd()),
        "extra": dict(extra_identity),
    }
    write_whole(run.recipe_file, recipe_text(resolved).encode(), durable=True)
    write_whole(run.identity_file, to_json(identity), durable=True)


def _move_into_place(staging: Path, parent: Path, base: str, name: str | None, name_field: str) -> RunDirectory:
    """Give the folder its name; renaming onto anything but an empty folder fails, so two makers never share one."""
    candidates = _numbered(base, {run.name for run in list_runs()}) if name is None else itertools.repeat(name)
    for candidate in candidates:
        target = parent / candidate
        try:
            staging.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        else:
            sync_folder(parent)
            return RunDirectory(target)
        if name is not None:
            raise UserError(
                f"run {name} exists: resume it with `trimtab resume {name}` or choose another {name_field}", file=target
            )
    raise AssertionError("the numbers do not end")


def register(path: Path) -> None:
    """Note the folder of a run or pipeline, so that it is found from any folder; it works without that."""
    index = paths.run_index_file()
    with suppress(OSError):
        index.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(index, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"{path}\n".encode("utf-8", "surrogateescape"))
        finally:
            os.close(descriptor)


def list_runs() -> list[RunDirectory]:
    """All runs, newest first: those of the runs folder, and those made from other folders."""
    found: dict[Path, float] = {}
    for path in noted_folders():
        if path in found:
            continue
        record = read_json(path / "run.json")
        identity = None if record is None else _identity(path.name, record)
        if identity is not None:
            found[path] = identity.created
    return [RunDirectory(path) for path, _ in sorted(found.items(), key=lambda item: (-item[1], str(item[0])))]


def noted_folders() -> list[Path]:
    """What may be runs and pipelines: everything in the runs folder, and what was made from other folders."""
    found: list[Path] = []
    with suppress(OSError):
        found += [path for path in paths.runs_folder().iterdir() if not path.name.startswith(".")]
    with suppress(OSError):
        lines = paths.run_index_file().read_bytes().decode("utf-8", "surrogateescape").splitlines()
        found += [Path(line) for line in lines if line.startswith("/")]
    return found


def find_run(name_or_path: str | Path) -> RunDirectory:
    """The run of that name or folder; of several with that name the one in the runs folder.

    Raises: UserError, with the nearest name, when there is none, or when there are several and none is in that folder.
    """
    given = Path(name_or_path).expanduser()
    if RunDirectory(given).exists():
        return RunDirectory(given.resolve())
    runs = list_runs()
    same = [run for run in runs if run.name == str(name_or_path)]
    here = [run for run in same if run.path.parent == paths.runs_folder()]
    if here:
        return here[0]
    if len(same) > 1:
        places = ", ".join(str(run.path) for run in same)
        raise UserError(f"several runs are called {name_or_path}: {places}", hint="Give the path")
    if same:
        return same[0]
    near = difflib.get_close_matches(str(name_or_path), [run.name for run in runs], n=1)
    hint = f"Did you mean {near[0]}?" if near else "See `trimtab runs`"
    raise UserError(f"there is no run {name_or_path}", hint=hint)


def delete_run(run: RunDirectory) -> None:
    """Remove the run with its checkpoints. Raises: UserError while a trainer writes it, or when the disk refuses."""
    from trainer.run.lock import RunLock

    if run.status() is not None and run.state().alive:
        raise UserError(f"run {run.name} is still going", hint=f"Stop it with `trimtab stop {run.name}` first")
    with RunLock(run, patience=2.0):
        try:
            # Out of the lists first: half a run is never shown.
            doomed = run.path.with_name(f".deleting-{os.getpid()}-{run.name}")
            run.path.rename(doomed)
            shutil.rmtree(doomed)
            for left_over in run.path.parent.glob(".deleting-*"):  # of somebody who was killed meanwhile
                shutil.rmtree(left_over, ignore_errors=True)
        except OSError as error:
            raise UserError(f"cannot delete the run: {error.strerror}", file=error.filename) from error


def git_commit(folder: Path) -> str:
    """The commit that is checked out around `folder`; empty when there is none. Reads files, starts no process."""
    for place in (folder, *folder.parents):
        git = place / ".git"
        try:
            if git.is_file():  # a worktree: "gitdir: <path>"
                git = place / git.read_text().partition(":")[2].strip()
            head = (git / "HEAD").read_text().strip()
        except OSError:
            continue
        if not head.startswith("ref: "):
            return head
        return _git_reference(git, head.removeprefix("ref: "))
    return ""


def _git_reference(git: Path, reference: str) -> str:
    with suppress(OSError):
        common = (git / (git / "commondir").read_text().strip()).resolve()
        git = common
    with suppress(OSError):
        return (git / reference).read_text().strip()
    with suppress(OSError):
        for line in (git / "packed-refs").read_text().splitlines():
            if line.endswith(f" {reference}"):
                return line.split()[0]
    return ""
