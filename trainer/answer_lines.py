"""The answers of a worker process: JSON lines that several threads may write. Not for the requests."""

from __future__ import annotations

import json
import os
import threading
from typing import IO


class AnswerLines:
    """Writes answers to whoever started this process."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._writing = threading.Lock()

    def say(self, **answer: object) -> None:
        """Write one answer; ends the process when nobody is left to hear it."""
        # Lone surrogates of a broken file are escaped, as no pipe takes them.
        line = json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
        try:
            with self._writing:
                self._stream.write(line + "\n")
                self._stream.flush()
        except (BrokenPipeError, ValueError):
            os._exit(0)
