"""Data sets, formats and bad rows as JSON values, for `trimtab data ... --json` and for the Data screen.

The names are those of docs/data-worker-protocol.md. Reports are in `report_json`.
"""

from __future__ import annotations

from typing import Any

from trainer.data.formats import REASONS, RowFormat
from trainer.data.inspect_sets import ListedSet, Listing
from trainer.data.messages import BadRow


def listing_json(listing: Listing) -> dict[str, Any]:
    """The data sets of a folder."""
    return {
        "folder": str(listing.folder.resolve()),
        "info_file": None if listing.info_file is None else str(listing.info_file.resolve()),
        "stage": listing.stage,
        "sets": [_set_json(item) for item in listing.sets],
        "problems": list(listing.problems),
    }


def _set_json(item: ListedSet) -> dict[str, Any]:
    found = item.format
    return {
        "name": item.name,
        "source": item.source,
        "kind": item.kind,
        "files": [str(file) for file in item.files],
        "size": item.size,
        "shape": None if found is None else found.describe(),
        "row_kind": None if found is None else found.kind,
        "stages": list(item.stages),
        "unfit": item.unfit,
        "problem": item.problem,
    }


def format_json(found: RowFormat) -> dict[str, Any]:
    """How rows are read, with the table of columns and tags."""
    mapping = [
        {
            "kind": "tag" if one.is_tag else "column",
            "name": one.key,
            "value": one.name if one.is_present or not one.is_detected else None,
            "detected": one.is_detected and one.is_present,
            "present": one.is_present,
        }
        for one in found.mapping
    ]
    return {
        "text": found.describe(),
        "shape": found.shape,
        "row_kind": found.kind,
        "mapping": mapping,
        "unused": list(found.unused),
        "entry": found.as_entry(),
    }


def problem_json(row: BadRow) -> dict[str, Any]:
    """A bad row with its reason."""
    return {"reason": row.reason, "title": reason_title(row.reason), **bad_row_json(row)}


def bad_row_json(row: BadRow) -> dict[str, Any]:
    """A bad row among others of its reason."""
    source = row.source
    return {
        "place": str(source),
        "file": source.file,
        "row": source.row,
        "line": source.line,
        "text": row.text,
        "hint": row.hint,
    }


# Rows that are good and are left out all the same, see `encoded_row.LEFT_OUT`.
_LEFT_OUT_TITLES = {
    "long": "longer than cutoff_len",
    "no_room": "no room for an answer",
    "unlabelled": "nothing to learn",
}


def reason_title(reason: str) -> str:
    """What a reason for a bad row is called in a table."""
    return REASONS.get(reason) or _LEFT_OUT_TITLES.get(reason, reason)
