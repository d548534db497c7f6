"""Encodes a data set with several processes, each of which takes every so-manieth batch of rows. Not for what they do
with it (`store_encoding`).

This process is the first of them. Each other one is a fresh `python -m trainer.data.encode_workers`: forking would copy
the threads' locks of a process that has torch loaded. The job goes to its input, encoded blocks of rows come from its
output, in order; a process that is ahead waits, so that memory stays bounded.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from trainer.data.dataset_reading import DatasetReader, Share
from trainer.data.row_store import RowStore
from trainer.data.spans import ShortWayError
from trainer.errors import UserError

if TYPE_CHECKING:
    from trainer.data.store_encoding import EncodeJob

_BLOCK, _USER_ERROR, _SHORT_WAY = b"B", b"U", b"S"
_BLOCKS_AHEAD = 4
_ONE_THREAD = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}


def encoded_by_processes(job: EncodeJob, reader: DatasetReader, count: int) -> Generator[RowStore]:
    """The blocks of a data set in order, encoded by `count` processes, one of which is this one, with its `reader`.

    Raises: UserError, also when a process dies; ShortWayError.
    """
    # Pickled by this process for its own children; nothing from outside is ever read this way.
    with ExitStack() as stack:
        others = [stack.enter_context(_Worker(pickle.dumps((job, number, count)))) for number in range(1, count)]
        own = stack.enter_context(closing(_OwnBlocks(job.blocks(reader, Share(0, count)))))
        workers: list[_OwnBlocks | _Worker] = [own, *others]
        while True:
            for worker in workers:
                while isinstance(worker, _Worker) and not worker.has_block() and own.work_ahead():
                    pass
                block = worker.receive()
                if block is None:
                    # Batches are dealt out in turn: the first who has none left had the last one before.
                    return
                yield block


class _OwnBlocks:
    """The blocks that this process encodes: some ahead of their turn, while those of others are not there yet."""

    def __init__(self, blocks: Generator[RowStore]) -> None:
        self._blocks = blocks
        self._ready: deque[RowStore | Exception | None] = deque()

    def work_ahead(self) -> bool:
        """Encodes one block more; says whether there was room and work for it."""
        if len(self._ready) >= _BLOCKS_AHEAD or (self._ready and not isinstance(self._ready[-1], RowStore)):
            return False
        try:
            self._ready.append(next(self._blocks, None))
        except (UserError, ShortWayError) as error:
            # Its turn comes after that of the blocks before it, whose rows may be bad too.
            self._ready.append(error)
        return True

    def receive(self) -> RowStore | None:
        """The next block; None: there are no more.

        Raises: UserError; ShortWayError.
        """
        if not self._ready:
            self.work_ahead()
        block = self._ready.popleft()
        if isinstance(block, Exception):
            raise block
        return block

    def close(self) -> None:
        """Ends the work."""
        self._blocks.close()


class _Worker:
    """One process."""

    def __init__(self, job: bytes) -> None:
        self._job = job

    def __enter__(self) -> _Worker:
        self._errors = tempfile.TemporaryFile()
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trainer.data.encode_workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            stderr=self._errors,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
        )
        assert self._process.stdin is not None
        try:
            with self._process.stdin as stream:
                stream.write(self._job)
        except BrokenPipeError:
            pass  # It died at once; reading from it will say so.
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def has_block(self) -> bool:
        """Whether something can be received, or has begun to arrive."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def receive(self) -> RowStore | None:
        """The next block; None: there are no more.

        Raises: UserError; ShortWayError.
        """
        assert self._process.stdout is not None
        kind, data = _read_frame(self._process.stdout)
        if kind == _BLOCK and data:
            return RowStore.from_bytes(data)
        if kind == _BLOCK:
            return None
        if kind == _SHORT_WAY:
            raise ShortWayError(data.decode())
        if kind == _USER_ERROR:
            raise pickle.loads(data)
        raise self._death()

    def _death(self) -> UserError:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        how = f"killed by signal {-code}, perhaps for want of memory" if code < 0 else f"exit code {code}"
        last = f": {lines[-1]}" if lines else ""
        return UserError(
            f"a process that prepares rows ended before its work was done ({how}{last})",
            field="preprocessing_num_workers",
            hint="Set it to 1 to prepare the rows in one process",
        )


def _read_frame(stream: IO[bytes]) -> tuple[bytes, bytes]:
    head = _read_exactly(stream, 9)
    size = int.from_bytes(head[1:], "little")
    data = _read_exactly(stream, size)
    return (head[:1], data) if len(head) == 9 and len(data) == size else (b"", b"")


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    """So many bytes, or fewer where the stream ends."""
    data = bytearray(size)
    filled = 0
    with memoryview(data) as view:
        while filled < size and (count := stream.readinto(view[filled:])):  # type: ignore[attr-defined]
            filled += count
    return bytes(data[:filled])


def _write_frame(stream: IO[bytes], kind: bytes, data: bytes = b"") -> None:
    stream.write(kind + len(data).to_bytes(8, "little"))
    stream.write(data)
    stream.flush()


def main() -> None:
    """What the process does: takes a job from its input and writes blocks of rows to its output."""
    output = sys.stdout.buffer
    job, number, count = pickle.load(sys.stdin.buffer)
    queue: Queue[tuple[bytes, bytes] | None] = Queue(_BLOCKS_AHEAD)
    writer = Thread(target=_write_all, args=(output, queue), daemon=True)
    writer.start()
    try:
        reader = DatasetReader(job.entry, job.files, job.options)
        for block in job.blocks(reader, Share(number, count)):
            queue.put((_BLOCK, block.to_bytes()))
        queue.put((_BLOCK, b""))
    except ShortWayError as error:
        queue.put((_SHORT_WAY, str(error).encode()))
    except UserError as error:
        queue.put((_USER_ERROR, pickle.dumps(error)))
    queue.put(None)
    writer.join()


def _write_all(output: Any, queue: Queue[tuple[bytes, bytes] | None]) -> None:
    while (frame := queue.get()) is not None:
        try:
            _write_frame(output, *frame)
        except BrokenPipeError:
            # Nobody waits for the rows any more.
            os._exit(0)


if __name__ == "__main__":
    main()
