"""Images, videos and sounds that rows name: paths, existence, and whether the marks in the text match them. Not for
loading them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.data.formats.values import kind_of, shown
from trainer.data.messages import BadRowError, Message
from trainer.data.registry import Columns

MARKS = {"images": "<image>", "videos": "<video>", "audios": "<audio>"}
"""Column key to the mark that stands in the text where the medium belongs."""

_KINDS = {
    "image": "images",
    "image_url": "images",
    "input_image": "images",
    "video": "videos",
    "video_url": "videos",
    "audio": "audios",
    "audio_url": "audios",
    "input_audio": "audios",
}
_PATH_KEYS = ("url", "path", "file")
_ELSEWHERE = ("http://", "https://", "data:", "s3://", "gs://")


class FoundMedia:
    """The media of one row: those that content parts name while its messages are read, and those of its columns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._of_parts: dict[str, list[str]] = {key: [] for key in MARKS}
        self._parts = dict.fromkeys(MARKS, 0)

    def part(self, part: Mapping[str, Any], place: str) -> str:
        """The mark that takes the place of a content part; its path, if it has one, is remembered.

        Raises: BadRowError.
        """
        kind = part.get("type")
        key = _KINDS.get(kind) if isinstance(kind, str) else None
        if key is None:
            hint = "Parts may be text, image, image_url, video or audio"
            raise BadRowError("wrong_media", f"{place} has a part of the type {shown(kind)}", hint)
        self._parts[key] += 1
        path = _part_path(part, str(kind))
        if path is not None:
            self._of_parts[key].append(self._checked(path, f"the {kind} of {place}"))
        return MARKS[key]

    def take(self, value: Mapping[str, Any], columns: Columns, turns: Sequence[Message]) -> dict[str, tuple[str, ...]]:
        """The paths of all media of the row, by column key, in the order of their marks in `turns`.

        Raises: BadRowError for a file that is not there, or a number of marks that is not the number of media.
        """
        return {key: self._of_kind(key, value, getattr(columns, key), turns) for key in MARKS}

    def _of_kind(
        self, key: str, value: Mapping[str, Any], column: str | None, turns: Sequence[Message]
    ) -> tuple[str, ...]:
        if not self._parts[key] and column not in value:
            return ()  # a text may well speak of an <image>
        paths, named = self._column(value.get(str(column)), str(column)), self._of_parts[key]
        if named and (paths or len(named) < self._parts[key]):
            raise BadRowError("media_count", f"some {key} stand in content parts, others do not", "Name all in one way")
        paths = paths or named
        mark = MARKS[key]
        marks = sum((turn.content or "").count(mark) for turn in turns)
        if marks != len(paths):
            problem = f"the text marks {marks} places with {mark}, but there are {len(paths)} {key}"
            raise BadRowError("media_count", problem, f"Write {mark} once for each of the {key}")
        return tuple(paths)

    def _column(self, value: Any, column: str) -> list[str]:
        items = value if isinstance(value, list) else [value] if value else []
        return [self._path(item, f"item {number} of {column}") for number, item in enumerate(items, start=1)]

    def _path(self, item: Any, subject: str) -> str:
        path = item.get("path") if isinstance(item, Mapping) else item
        if not isinstance(path, str):
            kind = "data without a path" if isinstance(item, Mapping) else kind_of(item)
            raise BadRowError("wrong_media", f"{subject} is {kind}, not a path", "Save it as a file and write its path")
        return self._checked(path, subject)

    def _checked(self, path: str, subject: str) -> str:
        if path.startswith(_ELSEWHERE):
            return path
        file = self._folder / path.removeprefix("file://")
        if not file.is_file():
            hint = "Put the file there, or set media_dir to its folder"
            raise BadRowError("media_missing", f"{subject} is not there: {file}", hint)
        return str(file)


def _part_path(part: Mapping[str, Any], kind: str) -> str | None:
    """Where a part says that its medium is: `{"type": "image_url", "image_url": {"url": ...}}` and the like."""
    place = part.get(kind)
    for source in (place, part):
        if isinstance(source, str):
            return source
        if isinstance(source, Mapping):
            found = next((source[key] for key in _PATH_KEYS if isinstance(source.get(key), str)), None)
            if found is not None:
                return str(found)
    return None


def refused(column: str) -> BadRowError:
    """The error for a row with media where only text is taken."""
    problem = f"{column} in a row: multimodal training is not available yet"
    return BadRowError("media", problem, f"Remove {column} and its marks from the text")
