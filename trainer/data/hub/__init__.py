"""The files of data sets that are elsewhere: on the Hugging Face hub, on ModelScope, in cloud storage. They are fetched
once, when asked for, and from then on read from this machine at the state that was recorded.
"""

from trainer.data.hub.fetching import FetchProgress, NotDownloadedError, entry_files, fetched_state, registry_file

__all__ = ["FetchProgress", "NotDownloadedError", "entry_files", "fetched_state", "registry_file"]
