"""Raw rows of any shape become rows as the stages need them: what shape a data set has is stated in its registry entry
or detected (`row_format`), which stages it serves says `fits`, and a `RowConverter` turns each row into a `Row` or says
why it cannot be used (`REASONS`). Nothing here knows files, templates or tokens.
"""

from trainer.data.formats.converter import RowConverter
from trainer.data.formats.detect import NEEDED_COLUMNS, row_format
from trainer.data.formats.reasons import REASONS
from trainer.data.formats.shapes import MappedColumn, RowFormat, fits, stages_for

__all__ = [
    "NEEDED_COLUMNS",
    "REASONS",
    "MappedColumn",
    "RowConverter",
    "RowFormat",
    "fits",
    "row_format",
    "stages_for",
]
