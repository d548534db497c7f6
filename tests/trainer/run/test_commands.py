"""Commands: whole, numbered without doubles, answered once, not obeyed by a trainer that they were not meant for."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from trainer.errors import UserError
from trainer.run import CommandInbox, CommandResultEvent, EventWriter, RunDirectory, read_commands, read_events


def answers(run: RunDirectory) -> list[tuple[int, bool, str]]:
    """The answers in the journal."""
    events = [record.event for record in read_events(run)]
    return [(event.number, event.accepted, event.text) for event in events if isinstance(event, CommandResultEvent)]


def test_commands_arrive_once_and_in_order(run: RunDirectory) -> None:
    inbox = CommandInbox(run)
    assert inbox.poll() == []
    assert [run.send("set", name="learning_rate", value=1e-4), run.send("note", text="你好"), run.send("stop")] == [
        1,
        2,
        3,
    ]

    commands = inbox.poll()

    assert [(command.number, command.verb, command.arguments) for command in commands] == [
        (1, "set", {"name": "learning_rate", "value": 1e-4}),
        (2, "note", {"text": "你好"}),
        (3, "stop", {}),
    ]
    assert "@" in commands[0].author
    assert inbox.poll() == []
    assert read_commands(run) == commands


def test_two_cockpits_never_get_the_same_number(run: RunDirectory) -> None:
    inbox = CommandInbox(run)
    program = (
        "import sys, pathlib\nfrom trainer.run import RunDirectory\nrun = RunDirectory(pathlib.Path(sys.argv[1]))\n"
        "for _ in range(40):\n    print(run.send('note', text=sys.argv[2]))\n"
    )
    cockpits = [
        subprocess.Popen([sys.executable, "-c", program, str(run.path), name], stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    found = []
    while any(cockpit.poll() is None for cockpit in cockpits):
        found += inbox.poll()
        time.sleep(0.01)
    found += inbox.poll()

    numbers = {name: cockpit.communicate()[0].split() for name, cockpit in zip("ab", cockpits, strict=True)}
    assert [command.number for command in found] == list(range(1, 81))
    for name, sent in numbers.items():
        assert [str(command.number) for command in found if command.arguments["text"] == name] == sent
    assert [path.name for path in run.commands_folder.iterdir() if path.name.startswith(".")] == []


def test_what_was_answered_is_not_obeyed_again_after_a_restart(run: RunDirectory) -> None:
    run.send("save")
    run.send("evaluate")
    with EventWriter(run) as events:
        [save, evaluate] = CommandInbox(run, events).poll()
        events.write(CommandResultEvent(save.number, save.verb, {}, 5, True))

    # The trainer was killed before it answered the second; this process is still the same, so it is not too old.
    assert CommandInbox(run).poll() == [evaluate]


def test_what_was_sent_while_no_trainer_lived_is_refused_by_the_next_one(run: RunDirectory) -> None:
    run.send("stop")
    time.sleep(0.02)  # the kernel counts the starts of processes in hundredths of a second
    program = (
        "import sys, pathlib\nfrom trainer.run import CommandInbox, EventWriter, RunDirectory\n"
        "run = RunDirectory(pathlib.Path(sys.argv[1]))\nrun.send('save')\n"
        "with EventWriter(run) as events:\n"
        "    print([command.verb for command in CommandInbox(run, events).poll()])\n"
    )
    said = subprocess.run([sys.executable, "-c", program, str(run.path)], capture_output=True, text=True, check=True)

    # Newer than the trainer's start counts, also when it came before the inbox was opened.
    assert said.stdout.strip() == "['save']"
    assert answers(run) == [(1, False, "sent while no trainer was running")]


def test_a_file_that_cannot_be_read_holds_up_the_others_only_for_a_moment(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.run.commands._UNREADABLE_SECONDS", 0.0)
    (run.commands_folder / "00000001.json").write_text("{half")
    assert run.send("save") == 2

    with EventWriter(run) as events:
        assert [command.verb for command in CommandInbox(run, events).poll()] == ["save"]
    assert answers(run) == [(1, False, "cannot be read")]


@pytest.mark.parametrize("obstacle", ["folder", "link to nothing"])
def test_what_is_no_file_under_the_next_number_does_not_block_the_commands_after_it(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    monkeypatch.setattr("trainer.run.commands._UNREADABLE_SECONDS", 0.0)
    place = run.commands_folder / "00000001.json"
    place.mkdir() if obstacle == "folder" else place.symlink_to("nowhere")
    with EventWriter(run) as events:
        inbox = CommandInbox(run, events)
        run.send("stop")
        assert [command.verb for command in inbox.poll()] == ["stop"]
    assert answers(run) == [(1, False, "cannot be read")]


@pytest.mark.parametrize("removed", [(1,), (2,), (1, 2)])
def test_commands_arrive_after_files_were_removed_and_no_number_is_used_twice(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, removed: tuple[int, ...]
) -> None:
    monkeypatch.setattr("trainer.run.commands._UNREADABLE_SECONDS", 0.0)
    inbox = CommandInbox(run)
    run.send("save")
    run.send("evaluate")
    assert len(inbox.poll()) == 2
    for number in removed:
        (run.commands_folder / f"{number:08d}.json").unlink()

    assert run.send("stop") == 3
    assert [command.verb for command in inbox.poll()] == ["stop"]


def test_a_command_that_was_removed_unread_leaves_a_gap_that_is_passed_over(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.run.commands._UNREADABLE_SECONDS", 0.0)
    inbox = CommandInbox(run)
    run.send("save")
    (run.commands_folder / "00000001.json").unlink()
    (run.commands_folder / "2.json").write_text("not one of ours")
    run.send("stop")

    assert [(command.number, command.verb) for command in inbox.poll()] == [(2, "stop")]


def test_numbers_go_on_where_the_answers_in_the_journal_end(run: RunDirectory) -> None:
    with EventWriter(run) as events:
        events.write(CommandResultEvent(7, "save", {}, 5, True))
        inbox = CommandInbox(run, events)

    assert run.send("stop") == 8
    assert [command.number for command in inbox.poll()] == [8]


def test_a_file_that_is_still_being_written_is_waited_for(run: RunDirectory) -> None:
    whole = (run.commands_folder / f"{run.send('save'):08d}.json").read_bytes()
    inbox = CommandInbox(run)
    (run.commands_folder / "00000001.json").write_bytes(whole[:10])
    assert inbox.poll() == []
    (run.commands_folder / "00000001.json").write_bytes(whole)
    assert [command.verb for command in inbox.poll()] == ["save"]


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [("stopp", {}), ("set", {"name": "lora_rank", "value": 1}), ("set", {}), ("note", {"text": object()})],
)
def test_what_is_no_command_is_refused_where_it_is_sent(
    run: RunDirectory, verb: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(UserError):
        run.send(verb, **arguments)
    assert list(run.commands_folder.iterdir()) == []


def test_a_full_disk_is_told_to_the_sender(run: RunDirectory, full_disk) -> None:  # type: ignore[no-untyped-def]
    with full_disk(10), pytest.raises(UserError, match="cannot send the command"):
        run.send("stop")
    assert list(run.commands_folder.iterdir()) == []
