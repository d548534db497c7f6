"""Following a run: what is read while it is written, after resumes, through damage, and at any length."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

from tests.trainer.run.fake_trainer import fake_loss, write_run
from trainer.run import (
    CommandResultEvent,
    EndEvent,
    EvaluationEvent,
    EventWriter,
    FindingEvent,
    MetricsEvent,
    PhaseEvent,
    ResumeEvent,
    RunDirectory,
    RunReader,
    SampleEvent,
)


def read(run: RunDirectory) -> RunReader:
    """A reader that has read everything."""
    reader = RunReader(run)
    while not reader.complete:
        reader.poll()
    return reader


def write_metrics(writer: EventWriter, *steps: int, value: float = 1.0) -> None:
    for step in steps:
        writer.write(MetricsEvent(step, step / 10, {"loss": value}))


def losses(reader: RunReader) -> dict[int, float]:
    steps, values = reader.series["loss"].points()
    assert len(set(steps)) == len(steps)
    return dict(zip(steps, values, strict=True))


def test_a_whole_run_is_read(tmp_path: Path) -> None:
    reader = read(write_run(tmp_path / "runs" / "one", steps=120, gpus=2, save_steps=40, eval_steps=30))

    assert losses(reader) == {step: fake_loss(step, 120) for step in range(1, 121)}
    assert reader.evaluations["eval_loss"].points()[0] == [30, 60, 90, 120]
    assert [event.step for event in reader.checkpoint_events] == [40, 80, 120]
    assert reader.telemetry is not None
    assert [gpu.index for gpu in reader.telemetry.gpus] == [0, 1]
    assert reader.telemetry_series["gpu1.memory_used"].last == reader.telemetry.gpus[1].memory_used
    assert reader.end == EndEvent("finished", 120)
    assert (reader.step, reader.phase, reader.epoch) == (120, "running", 1.2)
    assert [mark.kind for mark in reader.marks] == ["finding", "checkpoint", "checkpoint", "checkpoint", "end"]
    assert reader.findings[0].id == "loss.spike"
    assert reader.samples[-1].prompt == "你是谁？"


def test_reading_goes_on_where_it_ended(run: RunDirectory) -> None:
    reader = RunReader(run)
    assert not reader.poll()
    assert reader.complete
    with EventWriter(run) as writer:
        write_metrics(writer, 1, 2)
        assert reader.poll()
        assert not reader.poll()
        write_metrics(writer, 3)
        assert reader.poll()
    assert list(losses(reader)) == [1, 2, 3]


def test_half_a_line_waits_for_its_other_half(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        write_metrics(writer, 1, 2)
    whole = run.events_file.read_bytes()
    reader = RunReader(run)
    for end in range(len(whole) + 1):
        run.events_file.write_bytes(whole[:end])
        reader.poll()
    assert list(losses(reader)) == [1, 2]
    assert reader.event_count == 2


def test_a_tail_that_the_next_trainer_cuts_is_not_held_against_it(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        write_metrics(writer, 1)
    with run.events_file.open("ab") as file:
        file.write(b"\x00\x00\n{broken}\n" + b'{"seq":2,"kind":"met')
    reader = RunReader(run)
    reader.poll()
    with EventWriter(run) as writer:
        write_metrics(writer, *range(2, 50))

    reader.poll()

    assert list(losses(reader)) == list(range(1, 50))
    assert reader.generation == 0


def test_bad_lines_in_the_middle_are_passed_over(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        write_metrics(writer, 1)
        with run.events_file.open("ab") as file:
            file.write(b'\x00rubbish\n{"seq":9,"kind":"metrics"}\n{"seq":9,"time":1,"kind":"of tomorrow"}\n')
            file.write(b'{"seq":9,"time":1,"kind":"metrics","step":"x","epoch":0,"values":{"loss":1}}\n')
            file.write(b'{"seq":9,"time":1,"kind":"metrics","step":2,"epoch":0,"values":{"loss":null,"a":[1],"b":2}}\n')
        write_metrics(writer, 3)

    reader = read(run)

    assert list(losses(reader)) == [1, 3]
    assert reader.series["b"].last == 2


def test_a_journal_that_was_replaced_is_read_anew(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        write_metrics(writer, *range(1, 100))
    reader = read(run)
    run.events_file.unlink()
    with EventWriter(run) as writer:
        write_metrics(writer, *range(1, 500), value=2.0)

    reader.poll()

    assert reader.generation == 1
    assert set(losses(reader).values()) == {2.0}


def test_a_journal_that_shrank_is_read_anew(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        write_metrics(writer, 1, 2, 3)
    reader = read(run)
    lines = run.events_file.read_bytes().splitlines(keepends=True)
    with run.events_file.open("r+b") as file:
        file.truncate(len(lines[0]))

    assert reader.poll()
    assert list(losses(reader)) == [1]


def test_after_a_resume_no_step_is_listed_twice(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        write_metrics(writer, *range(1, 31), value=1.0)
        writer.write(EvaluationEvent(20, {"eval_loss": 1.0}))
        writer.write(EvaluationEvent(30, {"eval_loss": 1.0}))
        writer.write(SampleEvent(30, "a", "b"))
        writer.write(FindingEvent("x", "warning", "seen", 25))
        writer.write(EndEvent("stopped", 30))
        writer.write(ResumeEvent(20, "checkpoints/step-00000020"))
        write_metrics(writer, *range(21, 26), value=2.0)

    reader = read(run)

    assert losses(reader) == {step: 1.0 if step <= 20 else 2.0 for step in range(1, 26)}
    assert reader.evaluations["eval_loss"].points()[0] == [20]
    assert reader.samples == []
    assert reader.end is None
    assert [(mark.step, mark.kind) for mark in reader.marks] == [(20, "resume")]
    assert len(reader.findings) == 1


def test_nan_is_a_mark_where_it_begins_and_never_a_point(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        write_metrics(writer, 410, 411)
        write_metrics(writer, 412, 413, value=math.nan)
        write_metrics(writer, 414)
        write_metrics(writer, 415, value=math.inf)
        writer.write(EvaluationEvent(415, {"eval_loss": math.nan}))

    reader = read(run)

    assert list(losses(reader)) == [410, 411, 414]
    assert [(mark.step, mark.kind, mark.text) for mark in reader.marks] == [
        (412, "nan", "loss is nan at step 412"),
        (415, "nan", "loss is inf at step 415"),
        (415, "nan", "eval_loss is nan at step 415"),
    ]


def test_accepted_commands_are_marks_and_refused_ones_only_results(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        writer.write(CommandResultEvent(1, "set", {"name": "learning_rate", "value": 0.1}, 5, True))
        writer.write(CommandResultEvent(2, "set", {"name": "learning_rate", "value": -1}, 6, False, "no"))
        writer.write(CommandResultEvent(3, "note", {"text": "look here"}, 7, True))

    reader = read(run)

    assert [(mark.step, mark.text) for mark in reader.marks] == [(5, "learning_rate = 0.1"), (7, "look here")]
    assert len(reader.command_results) == 3


def test_new_and_changing_names_become_columns(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        for step in range(1, 101):
            values = {"loss": 1.0} if step % 2 else {"loss": 1.0, "reward": 2.0}
            writer.write(MetricsEvent(step, 0.0, values))

    reader = read(run)

    assert reader.series["loss"].count == 100
    assert reader.series["reward"].points()[0] == list(range(2, 101, 2))


def test_a_line_longer_than_what_is_read_at_once(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        write_metrics(writer, 1)
        writer.write(SampleEvent(1, "long", "x" * 3_000_000))
        write_metrics(writer, 2)

    reader = read(run)

    assert len(reader.samples[0].text) == 3_000_000
    assert list(losses(reader)) == [1, 2]


def write_long(run: RunDirectory, number: int) -> list[float]:
    """A journal of that many steps, written quickly; the losses."""
    source = random.Random(1)
    values = [source.gauss(1, 0.2) for _ in range(number)]
    values[number // 3], values[number // 2] = 99.0, -99.0
    other = ",".join(f'"metric_{index}":{index}.5' for index in range(1))
    with run.events_file.open("w") as file:
        for step, value in enumerate(values, 1):
            file.write(
                f'{{"seq":{step},"time":{step}.0,"monotonic":1.0,"kind":"metrics","step":{step},"epoch":0.1,'
                f'"values":{{"loss":{json.dumps(value)},{other}}}}}\n'
            )
    return values


def test_two_hundred_thousand_events_keep_their_extremes_in_a_fixed_memory(run: RunDirectory) -> None:
    values = write_long(run, 200_000)
    reader = RunReader(run)
    reader.poll(0.0)
    # More than is read at once: samples of it are shown at once, from its beginning to its end.
    assert not reader.complete
    assert reader.step == 200_000
    assert reader.series["loss"].last == values[-1]
    assert (reader.series["loss"].first_step, reader.series["loss"].count < 50_000) == (1, True)
    while not reader.complete:
        reader.poll()

    [whole] = reader.series["loss"].view(1, 200_000, 1)

    assert (whole.low, whole.high, whole.last) == (-99.0, 99.0, values[-1])
    assert len(reader.series["loss"]) < 15_000
    assert reader.event_count == 200_000
    assert not reader.poll()


def test_lists_are_bounded(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        for step in range(9000):
            writer.write(FindingEvent("x", "info", "again", step))

    reader = read(run)

    assert 2000 <= len(reader.findings) <= 4000
    assert reader.findings[-1].step == 8999


def test_the_phase_is_the_last_one(run: RunDirectory) -> None:
    with EventWriter(run) as writer:
        writer.write(EndEvent("stopped", 3))
        writer.write(PhaseEvent("preparing", "loading the model"))

    reader = read(run)

    assert (reader.phase, reader.phase_text, reader.end) == ("preparing", "loading the model", None)


def test_the_log_shows_its_last_lines_and_progress_bars_once(run: RunDirectory) -> None:
    reader = RunReader(run)
    assert reader.log_tail(3) == []
    run.log_file.write_bytes(b"one\ntwo\r\n10%\r50%\r100%\nbad \xff byte\nlast")

    assert reader.log_tail(10) == ["one", "two", "100%", "bad � byte", "last"]
    assert reader.log_tail(2) == ["bad � byte", "last"]
    run.log_file.write_bytes(b"x\n" * 300_000 + b"end\n")
    assert reader.log_tail(2) == ["x", "end"]
