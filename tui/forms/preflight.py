"""Ask a short-lived process what it finds in model and data. The cockpit itself reads no data file.

`python -m trainer preflight` takes the recipe as TOML and answers findings as JSON. When it cannot answer, nothing is
shown: the run says the same at its start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

import tomlkit

from trainer.config import Finding, Recipe, check
from tui.forms.model import Values

PATIENCE = 30.0
"""Seconds after which an answer is not waited for any longer."""


async def ask_preflight(values: Values) -> tuple[Finding, ...] | None:
    """The findings about model and data for these values; None when the process gave no answer."""
    toml = tomlkit.dumps(values)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trainer",
            "preflight",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        answer, _ = await asyncio.wait_for(process.communicate(toml.encode()), PATIENCE)
    except (TimeoutError, OSError):
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    findings = findings_of_answer(answer) if process.returncode == 0 else None
    return None if findings is None else _without_rules(findings, values)


def findings_of_answer(answer: bytes) -> tuple[Finding, ...] | None:
    """The findings in the process's JSON list; None when it is not one."""
    names = {field.name for field in fields(Finding)}
    try:
        entries = json.loads(answer)
        found = []
        for entry in entries:
            given = {name: value for name, value in entry.items() if name in names}
            given["fields"] = tuple(given.get("fields", ()))
            found.append(Finding(**given))
    except (ValueError, TypeError, AttributeError):
        return None
    return tuple(found)


@dataclass(frozen=True)
class DataSize:
    """What the check of the data counted; None where it did not read everything."""

    rows: int | None = None
    """Rows to train on."""
    tokens: int | None = None
    """Tokens of these rows."""
    longest: int | None = None
    """Tokens of the longest row."""


def size_of_findings(findings: Sequence[Finding] | None) -> DataSize:
    """Rows, tokens and the longest row that the check counted (`data_rows`)."""
    for finding in findings or ():
        rows, tokens, longest = (finding.values.get(name) for name in ("train_rows", "tokens", "longest"))
        if isinstance(rows, int):
            return DataSize(
                rows, tokens if isinstance(tokens, int) else None, longest if isinstance(longest, int) else None
            )
    return DataSize()


def rows_of_findings(findings: Sequence[Finding] | None) -> int | None:
    """The number of training rows that the check counted; None when it did not say."""
    return size_of_findings(findings).rows


def _without_rules(findings: tuple[Finding, ...], values: Values) -> tuple[Finding, ...]:
    """Without what the rules say: the form asks them itself after each change, and the answer here is older."""
    rules = {(finding.id, finding.fields) for finding in check(Recipe.model_validate(values))}
    return tuple(finding for finding in findings if (finding.id, finding.fields) not in rules)
