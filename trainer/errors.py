"""The one exception type for mistakes that a user can mend. Not for bugs: those keep their traceback."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """Something the user asked for cannot be done; says where, what was expected and what to do, in one line.

    Caught once, in the command line and in the app, and shown without a traceback.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        value: object = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        self.field = field
        self.value = value
        self.hint = hint

    def __str__(self) -> str:
        place = "" if self.file is None else self.file if self.line is None else f"{self.file}:{self.line}"
        subject = "" if self.field is None else self.field if self.value is None else f"{self.field} = {self.value!r}"
        text = ": ".join(part for part in (place, subject, self.message) if part)
        if self.hint:
            text = f"{text.rstrip('.')}. {self.hint}"
        return " ".join(text.split())
