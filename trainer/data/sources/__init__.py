"""Data files as rows: JSON, JSON lines, CSV, TSV, text, parquet and arrow, each row with its place. Not for what they
mean (`trainer.data.formats`), nor for which files a data set has (`trainer.data.registry`).
"""

from trainer.data.sources.opening import SUFFIXES, data_suffix, is_data_file
from trainer.data.sources.reading import read_rows

__all__ = ["SUFFIXES", "data_suffix", "is_data_file", "read_rows"]
