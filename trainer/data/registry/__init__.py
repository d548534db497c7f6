"""Which files a data set name stands for: `dataset_info.json` with LLaMA-Factory's schema, paths, folders, patterns and
hub names. Not for downloading (`trainer.data.hub`), nor for reading rows (`trainer.data.sources`).
"""

from trainer.data.registry.entry import Columns, DatasetEntry, RemoteSource, Tags
from trainer.data.registry.info_file import INFO_FILE, DatasetInfo, read_info, scan_info
from trainer.data.registry.lookup import find_dataset, is_pattern, list_datasets
from trainer.data.registry.names import near_match, shortened, split_names
from trainer.data.registry.register import register_dataset

__all__ = [
    "INFO_FILE",
    "Columns",
    "DatasetEntry",
    "DatasetInfo",
    "RemoteSource",
    "Tags",
    "find_dataset",
    "is_pattern",
    "list_datasets",
    "near_match",
    "read_info",
    "register_dataset",
    "scan_info",
    "shortened",
    "split_names",
]
