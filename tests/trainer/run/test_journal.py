"""The events file: what is written is read back, torn tails are cut, and a full disk costs nothing but time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from trainer.errors import UserError
from trainer.run import (
    CheckpointEvent,
    CommandResultEvent,
    EndEvent,
    EvaluationEvent,
    Event,
    EventWriter,
    FindingEvent,
    Gpu,
    MetricsEvent,
    PhaseEvent,
    ResumeEvent,
    RunDirectory,
    SampleEvent,
    Telemetry,
    TelemetryEvent,
    last_event,
    read_events,
)

EVENTS: list[Event] = [
    PhaseEvent("running", "第一步", 1),
    MetricsEvent(1, 0.5, {"loss": 1.25, "tokens": 1e9}),
    EvaluationEvent(1, {"eval_loss": 2.0}),
    CheckpointEvent(1, "checkpoints/step-00000001", 10, 0.5, "command"),
    TelemetryEvent(Telemetry((Gpu(0, "H200", memory_used=1, power=0.5),), 3.0, 4, 5, ""), 1),
    SampleEvent(1, "who\nare you?", "I\u2028am\x00Trim\ud800", 0.1),
    CommandResultEvent(7, "set", {"name": "learning_rate", "value": 1e-4}, 1, True, "done"),
    FindingEvent("loss.spike", "warning", "rose", 1),
    ResumeEvent(1, "checkpoints/step-00000001"),
    EndEvent("finished", 1, ""),
]


def test_every_event_is_read_back_as_it_was_written(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        for event in EVENTS:
            writer.write(event)

    records = list(read_events(run))

    assert [record.event for record in records] == EVENTS
    assert [record.seq for record in records] == list(range(1, len(EVENTS) + 1))
    assert last_event(run) == EVENTS[-1]


def test_numbers_that_json_cannot_hold_are_written_as_strict_json_and_come_back(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        writer.write(MetricsEvent(3, 0.0, {"loss": math.nan, "grad_norm": math.inf, "low": -math.inf, "x": 1.0}))

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    line = json.loads(run.events_file.read_text(), parse_constant=refuse)
    assert line["values"] == {"loss": "nan", "grad_norm": "inf", "low": "-inf", "x": 1.0}
    event = next(read_events(run)).event
    assert isinstance(event, MetricsEvent)
    assert math.isnan(event.values["loss"])
    assert event.values["grad_norm"] == math.inf


def test_what_json_does_not_know_never_stops_a_training(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        writer.write(CommandResultEvent(1, "note", {"path": Path("/a"), "bad": math.nan}, 0, True))

    event = next(read_events(run)).event
    assert isinstance(event, CommandResultEvent)
    assert event.arguments == {"path": "/a", "bad": "nan"}


@pytest.mark.parametrize(
    "tail",
    [
        b'{"seq":3,"time":1.0,"kind":"metr',
        b"\x00" * 5000,
        b"\x00" * 70_000 + b"\n",
        b'{"seq":3,"kind":"end"\n{"broken\n',
        b"[1,2]\n12\n",
        b"\xff\xfe\n",
        b"x" * 300_000,
        b'{"seq":3,"kind":"end"} trailing\n',
    ],
    ids=["half line", "nul bytes", "many nul bytes", "broken lines", "not ours", "not text", "long", "trailing"],
)
def test_a_torn_tail_is_cut_and_the_numbers_go_on(run: RunDirectory, tail: bytes) -> None:
    with EventWriter(run) as writer:
        writer.write(PhaseEvent("running"))
        writer.write(MetricsEvent(1, 0.0, {"loss": 1.0}))
    whole = run.events_file.read_bytes()
    run.events_file.write_bytes(whole + tail)

    with EventWriter(run) as writer:
        assert run.events_file.read_bytes() == whole
        assert writer.write(EndEvent("finished", 1)) == 3
    assert [record.seq for record in read_events(run)] == [1, 2, 3]


def test_a_file_of_nothing_but_rubbish_begins_anew(run: RunDirectory) -> None:
    run.events_file.write_bytes(b"\x00" * 100_000)

    with EventWriter(run) as writer:
        assert writer.write(EndEvent("finished", 1)) == 1

    assert len(list(read_events(run))) == 1


def test_events_wait_in_memory_while_the_disk_is_full(run: RunDirectory, full_disk) -> None:  # type: ignore[no-untyped-def]
    with EventWriter(run) as writer:
        for step in range(200):
            writer.write(MetricsEvent(step, 0.0, {"loss": 1.0}))
        size = run.events_file.stat().st_size
        with full_disk(size + 30):
            for step in range(200, 205):
                writer.write(MetricsEvent(step, 0.0, {"loss": 1.0}))
            assert writer.blocked
            assert run.events_file.stat().st_size == size + 30  # half a line
        assert writer.flush()
        assert not writer.blocked

    records = list(read_events(run))
    assert [record.seq for record in records] == list(range(1, 207))
    assert [record.event.step for record in records] == [*range(205), 204]
    assert records[-1].event == FindingEvent(
        "disk.events-delayed", "warning", "the disk took no events for 0 seconds; 0 of them were lost", 204
    )
    assert run.events_file.read_bytes().count(b"\n") == 206


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(run: RunDirectory) -> None:
    run.events_file.mkdir()

    with pytest.raises(UserError, match="cannot write the run's events"):
        EventWriter(run)


@pytest.mark.parametrize("replaced", [False, True])
def test_events_go_on_in_the_file_that_is_there_when_it_was_removed_or_replaced(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    monkeypatch.setattr("trainer.run.journal._LOOK_SECONDS", 0.0)
    with EventWriter(run) as writer:
        writer.write(PhaseEvent("running", "", 1))
        run.events_file.unlink()
        if replaced:
            run.events_file.write_text('{"seq": 1, "time": 0, "monotonic": 0, "kind": "phase", "phase": "x"}\n{"torn')
        writer.write(PhaseEvent("running", "", 2))
        writer.write(PhaseEvent("running", "", 3))

    events = [record.event for record in read_events(run)]

    [warning] = [event for event in events if isinstance(event, FindingEvent)]
    assert (warning.severity, "removed or replaced" in warning.text) == ("warning", True)
    assert [event.step for event in events if isinstance(event, PhaseEvent)][-2:] == [2, 3]
    assert len(events) == 3 + replaced


def test_a_run_that_was_moved_away_keeps_its_journal(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.run.journal._LOOK_SECONDS", 0.0)
    with EventWriter(run) as writer:
        moved = RunDirectory(run.path.rename(run.path.with_name("moved")))
        writer.write(PhaseEvent("running", "", 1))

    assert [record.event.step for record in read_events(moved)] == [1]
