"""One life of a worker process: its pipes, the thread that reads them, and the requests that wait for a reply.

Workers are `python -m trainer <verb>` and speak JSON lines (docs/*-protocol.md). They die with us, because their
standard input closes. Not for what the requests mean: that is in `tui.workers` (chat), `tui.data_client` and
`tui.inspect_client`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import trainer
from trainer.errors import UserError
from tui.locale import text

Reply = dict[str, object]
"""One line from a worker."""

_EXIT_SECONDS = 3.0
_LOG_TAIL_BYTES = 8192


class RefusedError(UserError):
    """The worker answered a request with an error; `code` says which where its protocol names it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class _Ended:
    """Sent to whoever waits when the worker is gone."""

    code: int | None


class WorkerProcess:
    """A running worker. Any thread may ask, send and end; replies are handed to the request that they belong to.

    `area` is the catalogue file that has the worker's own words (`cannot_start`, `worker_ended`, `unknown_error`).
    `unasked` gets the replies that no request waits for, in the reader's thread.
    """

    def __init__(self, command: Sequence[str], area: str, unasked: Callable[[Reply], None] | None = None) -> None:
        self._area = area
        self._unasked = unasked
        self._replies: dict[int, SimpleQueue[Reply | _Ended]] = {}
        self._number = 0
        # Two locks: the reader must go on while a long request is being written, else both sides wait for each other.
        self._replies_lock = threading.Lock()
        self._write_lock = threading.Lock()
        # It has no name: however we end, nothing is left behind.
        self._log = tempfile.TemporaryFile("w+b", prefix=f"trimtab-{area}-")  # noqa: SIM115 - closed by end()
        try:
            # A session of its own: Ctrl-C in the terminal must stop an answer, not the worker that gives it.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                env=worker_environment(),
            )
        except OSError as error:
            self._log.close()
            raise UserError(text(f"{area}.cannot_start", error=error.strerror or error)) from error
        threading.Thread(target=self._read, name=f"{area}-reader", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    @contextlib.contextmanager
    def request(
        self, verb: str, arguments: Mapping[str, object], started: Callable[[int], None] | None = None
    ) -> Iterator[Iterator[Reply]]:
        """Send one numbered request and hand out its replies; an error among them is raised as RefusedError.

        `started` gets the number before the request is sent, for those that may be cancelled.
        """
        inbox: SimpleQueue[Reply | _Ended] = SimpleQueue()
        with self._replies_lock:
            self._number += 1
            number = self._number
            self._replies[number] = inbox
        if started is not None:
            started(number)
        try:
            self.send({"do": verb, **arguments, "id": number})
            yield self._answers(inbox)
        finally:
            with self._replies_lock:
                self._replies.pop(number, None)

    def send(self, request: Mapping[str, object]) -> None:
        """Write one line to the worker.

        Raises:
            UserError: the worker is gone.
        """
        line = json.dumps(request, ensure_ascii=False) + "\n"
        try:
            with self._write_lock:
                if self.process.stdin is not None:
                    self.process.stdin.write(line)
                    self.process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._ended(self._exit_code()) from error

    def end(self) -> None:
        """Close the worker's input, which is its sign to leave; insist if it stays."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self.process.stdin.close()
        for insist, seconds in ((self.process.terminate, 0.3), (self.process.kill, 1.0)):
            try:
                self.process.wait(timeout=seconds)
                break
            except subprocess.TimeoutExpired:
                insist()
        self.process.wait()
        self._log.close()

    def _answers(self, inbox: SimpleQueue[Reply | _Ended]) -> Iterator[Reply]:
        while True:
            reply = inbox.get()
            if isinstance(reply, _Ended):
                raise self._ended(reply.code)
            if reply.get("event") == "error":
                words = str(reply.get("text") or text(f"{self._area}.unknown_error"))
                raise RefusedError(" ".join(words.split()), str(reply.get("code") or ""))
            yield reply

    def _ended(self, code: int | None) -> UserError:
        said = text(f"{self._area}.worker_ended", code="?" if code is None else code)
        return UserError(said, hint=self._last_line() or None)

    def _last_line(self) -> str:
        """The last line that says something in the worker's log: with Python, the exception itself."""
        try:
            # Not seek and read: the worker writes at the same place in the file.
            descriptor = self._log.fileno()
            start = max(0, os.fstat(descriptor).st_size - _LOG_TAIL_BYTES)
            lines = os.pread(descriptor, _LOG_TAIL_BYTES, start).decode("utf-8", "replace").splitlines()
        except (OSError, ValueError):
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _exit_code(self) -> int | None:
        """The exit status of a worker whose pipes are closed; killed when it lives on without them."""
        try:
            return self.process.wait(timeout=_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _read(self) -> None:
        """The reader thread: hands each reply to the request it belongs to, until the pipe closes."""
        if self.process.stdout is not None:
            with contextlib.suppress(OSError, ValueError), self.process.stdout as lines:
                for line in lines:
                    self._deliver(line)
        code = self._exit_code()
        with self._replies_lock:
            waiting = list(self._replies.values())
        for inbox in waiting:
            inbox.put(_Ended(code))

    def _deliver(self, line: str) -> None:
        try:
            reply = json.loads(line)
        except ValueError:
            return  # a library printed on standard output: not ours to show
        if not isinstance(reply, dict):
            return
        number = reply.get("id")
        with self._replies_lock:
            if isinstance(number, int):
                inboxes = [self._replies[number]] if number in self._replies else []
            else:
                # An error that belongs to no request concerns whoever waits.
                inboxes = list(self._replies.values()) if reply.get("event") == "error" else []
        for inbox in inboxes:
            inbox.put(reply)
        if not inboxes and self._unasked is not None:
            self._unasked(reply)


class WorkerOnDemand:
    """A worker that is started when it is needed, and again when it has ended; any thread may ask for it.

    `command`, `area` and `unasked` are those of `WorkerProcess`; `area` also has the words for one that is `closed`.
    """

    def __init__(self, command: Sequence[str], area: str, unasked: Callable[[Reply], None] | None = None) -> None:
        self._command = tuple(command)
        self._area = area
        self._unasked = unasked
        self._lock = threading.Lock()
        self._closed = False
        self.current: WorkerProcess | None = None
        """The last one that was started, alive or not."""

    @property
    def pid(self) -> int | None:
        """The worker's process id; None when none was started."""
        return None if self.current is None else self.current.process.pid

    def living(self) -> WorkerProcess:
        """A worker that runs.

        Raises:
            UserError: it cannot be started, or `close` was called.
        """
        with self._lock:
            if self._closed:
                raise UserError(text(f"{self._area}.closed"))
            if self.current is None or not self.current.alive:
                if self.current is not None:
                    self.current.end()
                self.current = WorkerProcess(self._command, self._area, self._unasked)
            return self.current

    def close(self) -> None:
        """End the worker for good. Whoever waits for an answer gets a UserError."""
        with self._lock:
            self._closed = True
            worker, self.current = self.current, None
        if worker is not None:
            worker.end()


def worker_environment() -> dict[str, str]:
    """Ours, with the package that we were imported from in front: `-P` keeps a `trainer` of the current folder out."""
    places = [str(Path(trainer.__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in places if place)}
