"""Why rows cannot be used: the short title of each reason, for tables. The whole sentence comes with the row."""

from __future__ import annotations

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    # Of files (`sources`).
    "invalid_json": "not valid JSON",
    "invalid_encoding": "not UTF-8 text",
    "not_an_object": "not a JSON object",
    "duplicate_keys": "the same key twice in a row",
    "invalid_csv": "not valid CSV",
    "ragged_row": "more or fewer cells than the header",
    "broken_file": "the file breaks off or is damaged",
    "unreadable_file": "a file cannot be read",
    # Of columns and messages (`formats`).
    "missing_column": "a column is missing",
    "not_text": "not text",
    "no_messages": "no messages",
    "wrong_tags": "messages without role or content",
    "unknown_role": "unknown role",
    "roles_out_of_order": "roles out of order",
    "no_answer": "no answer at the end",
    "empty_answer": "empty answer",
    "empty_prompt": "empty prompt",
    "empty_text": "empty text",
    "history": "history is not pairs",
    "wrong_weight": "weight is not 0 or 1",
    "wrong_tools": "broken tools or tool calls",
    "answers_equal": "chosen equals rejected",
    "wrong_answer_role": "chosen or rejected is no answer",
    "prompts_differ": "chosen and rejected have different prompts",
    "wrong_kto_tag": "kto tag is not true or false",
    "media": "images, videos or sounds",
    "wrong_media": "media that cannot be read",
    "media_count": "marks and media do not match",
    "media_missing": "a media file is missing",
    # Of rendered text (`encode`, `spans`).
    "invalid_text": "half characters",
    "too_long": "far too long",
    "template_refused": "the chat template refuses it",
    "answer_not_found": "the chat template rewrites the answer",
    "private_characters": "special tokens beside private characters",
    "special_token_stays": "special token that the tokenizer cannot read as text",
}
"""Reason (the identifier in `BadRow.reason`) to title."""
