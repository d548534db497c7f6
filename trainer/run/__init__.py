"""The run directory: the only thing that the cockpit and the trainer share.

Making, finding and launching runs; the trainer's writers; the cockpit's reader; checkpoints that are whole or not
there. No torch and no screens here.
"""

from trainer.run.checkpoints import (
    Checkpoint,
    Damaged,
    clean_staging,
    damaged_checkpoints,
    delete_checkpoint,
    inspect_checkpoint,
    latest_checkpoint,
    list_checkpoints,
    rotate_checkpoints,
    write_checkpoint,
)
from trainer.run.commands import SETTABLE, VERBS, Command, CommandInbox, read_commands
from trainer.run.directory import (
    Identity,
    RunDirectory,
    create_run,
    delete_run,
    find_run,
    free_run_name,
    list_runs,
    run_place,
)
from trainer.run.events import (
    CheckpointEvent,
    CommandResultEvent,
    EndEvent,
    EvaluationEvent,
    Event,
    FindingEvent,
    MetricsEvent,
    PhaseEvent,
    Record,
    ResumeEvent,
    SampleEvent,
    TelemetryEvent,
)
from trainer.run.faults import fault_point
from trainer.run.history import Mark, RunHistory
from trainer.run.journal import EventWriter, last_event, read_events
from trainer.run.launch import launch
from trainer.run.lock import RunLock
from trainer.run.reader import RunReader
from trainer.run.result import result_checkpoint
from trainer.run.series import Bucket, Series
from trainer.run.status import RunState, Status, StatusWriter, heartbeat_age
from trainer.run.telemetry import Gpu, Telemetry, sample

__all__ = [
    "SETTABLE",
    "VERBS",
    "Bucket",
    "Checkpoint",
    "CheckpointEvent",
    "Command",
    "CommandInbox",
    "CommandResultEvent",
    "Damaged",
    "EndEvent",
    "EvaluationEvent",
    "Event",
    "EventWriter",
    "FindingEvent",
    "Gpu",
    "Identity",
    "Mark",
    "MetricsEvent",
    "PhaseEvent",
    "Record",
    "ResumeEvent",
    "RunDirectory",
    "RunHistory",
    "RunLock",
    "RunReader",
    "RunState",
    "SampleEvent",
    "Series",
    "Status",
    "StatusWriter",
    "Telemetry",
    "TelemetryEvent",
    "clean_staging",
    "create_run",
    "damaged_checkpoints",
    "delete_checkpoint",
    "delete_run",
    "fault_point",
    "find_run",
    "free_run_name",
    "heartbeat_age",
    "inspect_checkpoint",
    "last_event",
    "latest_checkpoint",
    "launch",
    "list_checkpoints",
    "list_runs",
    "read_commands",
    "read_events",
    "result_checkpoint",
    "rotate_checkpoints",
    "run_place",
    "sample",
    "write_checkpoint",
]
