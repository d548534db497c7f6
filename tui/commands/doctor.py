"""`trimtab doctor`: what works on this machine, what does not, and what to do about it. Changes nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import trainer
from trainer import paths
from tui.commands import doctor_probe, output
from tui.locale import text

_MARKS = {"ok": ("ok", "green"), "note": ("--", "dim"), "warning": ("!!", "yellow"), "error": ("XX", "red")}
_SMALL_DISK = 10 * 1024**3
_FULL_DISK = 512 * 1024**2
# The extras of our own distribution that a user may want; "dev" is for the authors.
_AUTHORS_EXTRAS = {"dev"}


@dataclass(frozen=True)
class Check:
    """One thing looked at: state is ok, note (works without), warning (works badly) or error (does not work)."""

    id: str
    state: str
    value: str
    advice: str = ""


def doctor(arguments: Namespace) -> int:
    """Print every check as soon as it is known; exit 1 when something essential is broken."""
    found: list[Check] = []
    for check in all_checks():
        found.append(check)
        if not arguments.json:
            _print(check)
    broken = [check for check in found if check.state == "error"]
    if arguments.json:
        output.print_json(
            {"version": trainer.__version__, "ok": not broken, "checks": [asdict(check) for check in found]}
        )
    elif broken:
        print(text("command_line.doctor_broken", names=", ".join(check.id for check in broken)))
    else:
        print(text("command_line.doctor_fine"))
    return 1 if broken else 0


def _print(check: Check) -> None:
    mark, colour = _MARKS[check.state]
    width = output.terminal_width() if output.on_terminal() else 10_000
    label = text(f"command_line.doctor_{check.id.partition('.')[0]}")
    extra = check.id.partition(".")[2]
    lines = output.wrap(f"{label} {extra}: {check.value}" if extra else f"{label}: {check.value}", width - 3)
    print(f"{output.paint(mark, colour)} {lines[0]}")
    for line in [*lines[1:], *(output.wrap("-> " + check.advice, width - 3) if check.advice else [])]:
        print(f"   {line}")
    sys.stdout.flush()


def all_checks() -> Iterator[Check]:
    """All checks, the slow ones (torch) last."""
    for name, look in _LOOKS.items():
        try:
            yield from look()
        except Exception as error:  # whatever is broken here is what the doctor is asked about
            yield Check(name, "error", f"{type(error).__name__}: {' '.join(str(error).split())}", _install())


def _install() -> str:
    return text("command_line.advice_install")


def _python() -> Iterator[Check]:
    from packaging.specifiers import SpecifierSet

    value = f"{platform.python_version()} ({sys.executable})"
    try:
        wanted = importlib.metadata.metadata("trimtab")["Requires-Python"] or ""
    except importlib.metadata.PackageNotFoundError:
        wanted = ""
    if SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        yield Check("python", "ok", value)
    else:
        yield Check("python", "error", value, text("command_line.advice_python", wanted=wanted))


def _packages() -> Iterator[Check]:
    """Our own requirements, read from the installed metadata: the one place where they are written down."""
    try:
        from packaging.requirements import Requirement

        wanted = [Requirement(line) for line in importlib.metadata.requires("trimtab") or []]
    except (ImportError, importlib.metadata.PackageNotFoundError):
        yield Check("packages", "warning", text("command_line.not_installed_as_package"), _install())
        return
    missing: list[str] = []
    present: list[str] = []
    extras: dict[str, list[str]] = {}
    for requirement in wanted:
        version = _version(requirement.name)
        fits = bool(version) and requirement.specifier.contains(version, prereleases=True)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            (present if fits else missing).append(
                f"{requirement.name} {version}" if fits else _misfit(str(requirement), version)
            )
            continue
        for extra in importlib.metadata.metadata("trimtab").get_all("Provides-Extra") or []:
            if extra not in _AUTHORS_EXTRAS and requirement.marker.evaluate({"extra": extra}) and not fits:
                extras.setdefault(extra, []).append(_misfit(str(requirement).partition(";")[0].strip(), version))
            elif extra not in _AUTHORS_EXTRAS and requirement.marker.evaluate({"extra": extra}):
                extras.setdefault(extra, [])
    if missing:
        yield Check("packages", "error", ", ".join(missing), _install())
    else:
        yield Check("packages", "ok", ", ".join(present))
    for extra, absent in extras.items():
        if absent:
            advice = text("command_line.advice_extra", extra=extra)
            yield Check(f"extra.{extra}", "note", ", ".join(absent), advice)
        else:
            yield Check(f"extra.{extra}", "ok", text("command_line.installed"))


def _misfit(requirement: str, version: str) -> str:
    if not version:
        return text("command_line.package_missing", requirement=requirement)
    return text("command_line.package_wrong", requirement=requirement, version=version)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _machine() -> Iterator[Check]:
    import psutil

    cores = len(os.sched_getaffinity(0))
    total, free = psutil.virtual_memory().total, psutil.virtual_memory().available
    limit = _container_memory_limit()
    value = text("command_line.machine", system=platform.platform(terse=True), cores=cores)
    yield Check("machine", "ok", value)
    memory = text("command_line.memory", free=_size(free), total=_size(total))
    if limit is not None and limit < total:
        memory += text("command_line.memory_limit", limit=_size(limit))
    available = free if limit is None else min(free, limit)
    enough = available >= 1024**3
    yield Check("memory", "ok" if enough else "warning", memory, "" if enough else text("command_line.advice_memory"))


def _container_memory_limit() -> int | None:
    """Bytes that this container may use (cgroup 2, then 1); None when there is no limit."""
    for file in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            return int(file.read_text().strip())
        except (OSError, ValueError):
            continue
    return None


def _runs_folder() -> Iterator[Check]:
    folder = paths.runs_folder()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    usage = shutil.disk_usage(existing)
    value = text("command_line.disk", folder=folder, free=_size(usage.free), total=_size(usage.total))
    try:
        # os.access says yes to root on many network mounts: only writing tells.
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"trimtab")
    except OSError as error:
        yield Check("disk", "error", f"{value}: {error.strerror}", text("command_line.advice_runs_folder"))
        return
    if usage.free < _FULL_DISK:
        yield Check("disk", "error", value, text("command_line.advice_disk"))
        return
    if usage.free < _SMALL_DISK:
        yield Check("disk", "warning", value, text("command_line.advice_disk"))
        return
    yield Check("disk", "ok", value)


def _presets() -> Iterator[Check]:
    from trainer.config import list_presets

    found = list_presets()
    broken = [f"{preset.name}: {preset.error}" for preset in found if preset.error]
    value = text("command_line.presets_count", count=len(found))
    if not any(preset.shipped for preset in found):
        yield Check("presets", "error", value, _install())
        return
    if broken:
        yield Check("presets", "warning", "; ".join(broken), text("command_line.advice_presets"))
        return
    yield Check("presets", "ok", value)


def _terminal() -> Iterator[Check]:
    term = os.environ.get("TERM", "")
    size = shutil.get_terminal_size((0, 0))
    value = f"{size.columns}x{size.lines}, TERM={term}"
    if not sys.stdout.isatty():
        yield Check("terminal", "note", text("command_line.no_terminal"))
    elif term in ("", "dumb"):
        yield Check("terminal", "warning", f"TERM={term}", text("command_line.advice_term"))
    elif size.columns < 80 or size.lines < 24:
        yield Check("terminal", "warning", value, text("command_line.advice_size"))
    else:
        yield Check("terminal", "ok", value)
    yield _colours(term)
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower()
    if encoding.replace("-", "") == "utf8":
        yield Check("encoding", "ok", encoding)
    else:
        yield Check("encoding", "warning", encoding or "?", text("command_line.advice_encoding"))
    if os.environ.get("TMUX"):
        yield Check("multiplexer", "ok", "tmux", text("command_line.advice_tmux_copy"))
    elif os.environ.get("STY"):
        yield Check("multiplexer", "ok", "screen")
    elif os.environ.get("SSH_CONNECTION"):
        yield Check("multiplexer", "note", text("command_line.no_multiplexer"), text("command_line.advice_tmux"))


def _colours(term: str) -> Check:
    if os.environ.get("NO_COLOR"):
        return Check("colours", "ok", "NO_COLOR")
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return Check("colours", "ok", "16777216 (COLORTERM)")
    if "256color" in term:
        return Check("colours", "ok", "256")
    return Check("colours", "note", "16", text("command_line.advice_colours"))


def _driver() -> Iterator[Check]:
    try:
        line = Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except (OSError, IndexError):
        yield Check("driver", "note", text("command_line.no_driver"), text("command_line.advice_no_gpu"))
        return
    yield Check("driver", "ok", " ".join(line.removeprefix("NVRM version:").split()))


def _torch() -> Iterator[Check]:
    driver = Path("/proc/driver/nvidia/version").exists()
    facts = doctor_probe.torch_facts()
    if not facts.version:
        yield Check("torch", "error", facts.problem, _install())
        return
    yield Check("torch", "ok", facts.version)
    if facts.gpus and not facts.problem:
        names = ", ".join(f"{gpu.name} {_size(gpu.memory)} (sm {gpu.capability})" for gpu in facts.gpus)
        bf16 = text("command_line.bf16_yes" if facts.bf16 else "command_line.bf16_no")
        yield Check("cuda", "ok", f"{facts.cuda_build}: {names}; {bf16}")
    elif not driver:
        yield Check("cuda", "note", text("command_line.no_cuda"))
    elif not facts.cuda_build:
        yield Check("cuda", "error", text("command_line.cpu_build"), text("command_line.advice_cpu_build"))
    else:
        yield Check("cuda", "error", facts.problem or text("command_line.no_cuda"), text("command_line.advice_cuda"))
    yield _bitsandbytes(facts)


def _bitsandbytes(facts: doctor_probe.TorchFacts) -> Check:
    version = _version("bitsandbytes")
    advice = text("command_line.advice_bitsandbytes")
    if not version:
        return Check("bitsandbytes", "warning" if facts.cuda else "note", text("command_line.not_installed"), advice)
    if not facts.cuda:
        return Check("bitsandbytes", "note", f"{version} {text('command_line.needs_gpu')}")
    problem = doctor_probe.bitsandbytes_problem()
    if problem:
        return Check("bitsandbytes", "warning", f"{version}: {problem}", advice)
    return Check("bitsandbytes", "ok", version)


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"


_LOOKS: dict[str, Callable[[], Iterator[Check]]] = {
    "python": _python,
    "packages": _packages,
    "machine": _machine,
    "disk": _runs_folder,
    "presets": _presets,
    "terminal": _terminal,
    "driver": _driver,
    "torch": _torch,
}
