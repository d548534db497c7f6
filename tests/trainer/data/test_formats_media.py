"""Images, videos and sounds of rows: found, matched with their marks, checked to be there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.converting import convert, openai, refusal, said, stated

ADDRESS = "https://example.org/cat.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of media; what is in the files does not matter here."""
    for name in ("a.png", "b.png", "film.mp4", "sound.wav"):
        (tmp_path / name).write_bytes(b"\x00")
    return tmp_path


def asked(content: Any, **columns: Any) -> dict[str, Any]:
    """A row with one question."""
    return {"messages": [{"role": "user", "content": content}, *openai("", "D")[1:]], **columns}


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (asked("<image>Who is this? <image>", images=["a.png", "b.png"]), "<image>Who is this? <image>"),
        (asked("<image><image>", image=[{"path": "a.png", "bytes": None}, "b.png"]), "<image><image>"),
        (
            asked(
                [
                    {"type": "image_url", "image_url": {"url": "a.png"}},
                    {"type": "text", "text": "Who?"},
                    {"type": "image", "image": "b.png"},
                ]
            ),
            "<image>Who?<image>",
        ),
        (asked([{"type": "image"}, {"type": "image"}], images=["a.png", "b.png"]), "<image><image>"),
        (asked([{"type": "image", "path": "a.png"}, {"type": "input_image", "url": "b.png"}]), "<image><image>"),
        (
            {"instruction": "<image>Who?<image>", "output": "D", "images": ["a.png", "b.png"]},
            "<image>Who?<image>",
        ),
    ],
    ids=["column", "other spelling", "parts", "parts and column", "paths in parts", "alpaca"],
)
def test_images_of_every_spelling(folder: Path, row: dict[str, Any], text: str) -> None:
    converted = convert(row, media_dir=folder, allow_media=True)
    assert said(converted.messages) == [("user", text), ("assistant", "D")]
    assert converted.images == (str(folder / "a.png"), str(folder / "b.png"))
    assert (converted.videos, converted.audios) == ((), ())


def test_videos_and_sounds(folder: Path) -> None:
    row = asked("<video>What says <audio>?", videos=["film.mp4"], audios="sound.wav")
    converted = convert(row, media_dir=folder, allow_media=True)
    assert (converted.videos, converted.audios) == ((str(folder / "film.mp4"),), (str(folder / "sound.wav"),))
    parts = asked(
        [{"type": "video", "video": "film.mp4"}, {"type": "input_audio", "input_audio": {"url": "sound.wav"}}]
    )
    from_parts = convert(parts, media_dir=folder, allow_media=True)
    assert said(from_parts.messages)[0] == ("user", "<video><audio>")
    assert (from_parts.videos, from_parts.audios) == (converted.videos, converted.audios)


@pytest.mark.parametrize("address", [ADDRESS, "data:image/png;base64,iVBO"])
def test_addresses_are_kept_and_not_looked_up(folder: Path, address: str) -> None:
    row = asked("<image>Who?", images=[address])
    assert convert(row, media_dir=folder, allow_media=True).images == (address,)


def test_absolute_paths_and_file_addresses(folder: Path) -> None:
    row = asked("<image><image>", images=[str(folder / "a.png"), f"file://{folder}/b.png"])
    expected = (str(folder / "a.png"), str(folder / "b.png"))
    assert convert(row, media_dir=Path("/nowhere"), allow_media=True).images == expected


def test_ranked_and_prompt_rows_have_media_in_the_prompt(folder: Path) -> None:
    row = {"prompt": "<image>Who?", "chosen": "D", "rejected": "E", "images": ["a.png"]}
    assert convert(row, "dpo", media_dir=folder, allow_media=True).images == (str(folder / "a.png"),)
    row = {"prompt": "<image>Who?", "images": ["a.png"]}
    assert convert(row, "ppo", media_dir=folder, allow_media=True).images == (str(folder / "a.png"),)


def test_registered_column_names(folder: Path) -> None:
    entry = stated("sharegpt", {"messages": "messages", "images": "pictures"})
    row = asked("<image>Who?", pictures=["a.png"], images=["not read"])
    assert convert(row, entry=entry, media_dir=folder, allow_media=True).images == (str(folder / "a.png"),)


def test_text_may_speak_of_an_image() -> None:
    row = asked("What does <image> mean in HTML?")
    assert said(convert(row, allow_media=True).messages)[0] == ("user", "What does <image> mean in HTML?")
    assert convert(row).messages == convert(row, allow_media=True).messages


def test_a_missing_file_is_named_with_its_folder(folder: Path) -> None:
    bad = refusal(asked("<image>", images=["cat.png"]), media_dir=folder, allow_media=True)
    assert (bad.reason, bad.text) == ("media_missing", f"item 1 of images is not there: {folder}/cat.png")
    bad = refusal(asked([{"type": "image", "path": "cat.png"}]), media_dir=folder, allow_media=True)
    assert bad.text == f"the image of message 1 is not there: {folder}/cat.png"


def test_frames_of_a_video_cannot_be_read() -> None:
    bad = refusal(asked("<video>", videos=[["1.png", "2.png"]]), allow_media=True)
    assert (bad.reason, bad.text) == ("wrong_media", "item 1 of videos is a list, not a path")


def test_rows_with_media_are_not_trained_on_as_text() -> None:
    bad = refusal(asked("<image>Who?", images=["a.png"]))
    assert (bad.reason, bad.hint) == ("media", "Remove images and its marks from the text")
    assert convert(asked("Who?", images=[], videos=None)).images == ()
