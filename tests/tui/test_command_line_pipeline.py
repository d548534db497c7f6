"""A pipeline as one thing in commands: checked, started, followed, stopped, resumed, listed and deleted.

The leader is the real one, a process of its own; the parts are played by the fake trainer.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.trainer.run.fake_leader import LONG, THREE_PARTS
from tests.tui.command_line_world import World, a_world
from trainer.run import RunState
from trainer.run.commands import read_commands
from trainer.run.pipeline import Pipeline, find_pipeline
from trainer.run.process import is_alive
from tui.commands.chat import find_target


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch, capsys) as made:
        made.preset("trio", THREE_PARTS)
        made.fake_pipeline()
        yield made


def pipeline(name: str = "one") -> Pipeline:
    found = find_pipeline(name)
    assert found is not None
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, pipeline().log_file.read_text() + str(pipeline().states())
        time.sleep(0.05)


def is_busy_at(number: int) -> bool:
    run = pipeline().run_of(pipeline().parts[number - 1])
    status = run.status() if run.exists() else None
    return status is not None and status.step > 0


def test_a_pipeline_is_followed_to_its_end_and_told_as_one(world: World) -> None:
    result = world.trimtab(
        "train", "trio", "3.learning_rate=1e-5", "评判.lora_rank=4", "1.price_per_hour=3600", "--name", "one"
    )
    assert result.code == 0, result.out + result.err
    for number, name in enumerate(("sft (sft)", "评判 (rm)", "ppo (ppo)"), start=1):
        assert f"Part {number} of 3: {name}" in result.out
    assert result.out.endswith("one: finished\nChat with the result: trimtab chat one\n")
    judge, policy = world.find("one.评判").recipe(), world.find("one.ppo").recipe()
    assert (judge.lora.lora_rank, policy.train.learning_rate) == (4, 1e-5)
    assert policy.ppo.reward_model == str(world.find("one.评判").checkpoints_folder / "step-00000010")
    listed = json.loads(world.trimtab("runs", "--json").out)
    assert [(each["kind"], each["name"], each["state"]) for each in listed] == [("pipeline", "one", "finished")]
    assert [part["run"]["name"] for part in listed[0]["parts"]] == ["one.sft", "one.评判", "one.ppo"]
    assert listed[0]["price"] == pytest.approx(listed[0]["parts"][0]["run"]["elapsed"])
    assert world.trimtab("runs").out.splitlines()[1].split()[:2] == ["one", "finished"]
    assert "3  ppo   ppo    finished" in world.trimtab("status", "one").out
    again = world.trimtab("resume", "one")
    assert (again.code, "nothing to go on with" in again.err) == (2, True)
    assert find_target("one", scores=True).adapter == policy.ppo.reward_model
    assert find_target("one").adapter == str(world.find("one.ppo").checkpoints_folder / "step-00000010")


def test_stopped_in_its_middle_it_goes_on_there_and_is_deleted_as_one(world: World) -> None:
    world.fake_pipeline(评判=LONG)
    assert world.trimtab("train", "trio", "--name", "one", "--detach").code == 0
    until(lambda: is_busy_at(2))
    first = world.find("one.sft").events_file.read_text()
    assert "one         running 2/3" in world.trimtab("runs").out
    refused = world.trimtab("delete", "one", "--yes")
    assert (refused.code, "trimtab stop one" in refused.err) == (2, True)
    assert "is going already" in world.trimtab("resume", "one", "ppo.seed=4").err
    assert pipeline().parts[2].recipe.train.seed != 4
    stopped = world.trimtab("stop", "one")
    assert "one: stopped, part 2 of 3: 评判\nGo on with it: trimtab resume one" in stopped.out
    assert [each and each.value for each in pipeline().states()] == ["finished", "stopped", None]
    reached = world.find("one.评判").status()
    assert reached is not None
    assert "part ppo cannot choose it" in world.trimtab("resume", "one", "ppo.run_name=mine").err
    begun = world.trimtab("resume", "one", "1.seed=3")
    assert (begun.code, "part sft has begun" in begun.err) == (2, True)
    world.fake_pipeline(评判={"steps": reached.step + 5, "save_steps": 90_000})
    resumed = world.trimtab("resume", "one", "ppo.seed=3")
    assert resumed.code == 0, resumed.out + resumed.err
    assert "Pipeline one goes on with part 2 of 3: 评判" in resumed.out
    assert world.find("one.ppo").recipe().train.seed == 3
    # Nothing is trained twice.
    assert world.find("one.sft").events_file.read_text() == first
    assert f'"kind":"resume","step":{reached.step},' in world.find("one.评判").events_file.read_text()
    assert world.trimtab("delete", "one").code == 2
    assert world.trimtab("delete", "one", "--yes").code == 0
    assert world.run_names() == []


def test_without_its_leader_the_part_goes_on_and_resume_leads_again(world: World) -> None:
    world.fake_pipeline(评判=LONG)
    world.trimtab("train", "trio", "--name", "one", "--detach")
    until(lambda: is_busy_at(2))
    leader, judge = pipeline().leader(), world.find("one.评判").status()
    assert leader is not None
    assert judge is not None
    os.kill(leader.process.pid, signal.SIGKILL)
    until(lambda: not pipeline().is_led())
    assert "what leads the parts is gone: 评判 goes on" in world.trimtab("status", "one").out
    resumed = world.trimtab("resume", "one", "--detach")
    assert "goes on with part 2 of 3" in resumed.out
    until(lambda: pipeline().log_file.read_text().count("leads one") == 2)
    assert is_alive(judge.process)
    # Now the part itself is killed: what leads says so, and nothing more begins.
    os.kill(judge.pid, signal.SIGKILL)
    until(lambda: not pipeline().is_led())
    assert "lost, part 2 of 3: 评判" in world.trimtab("status", "one").out
    assert world.trimtab("attach", "one", "--plain").code == 1
    world.fake_pipeline()
    assert world.trimtab("resume", "one").code == 0


def test_without_its_leader_it_is_stopped_once_and_a_part_between_is_lost(world: World) -> None:
    world.fake_pipeline(评判=LONG)
    world.trimtab("train", "trio", "--name", "one", "--detach")
    until(lambda: is_busy_at(2))
    leader = pipeline().leader()
    assert leader is not None
    os.kill(leader.process.pid, signal.SIGKILL)
    until(lambda: not pipeline().is_led())
    assert "one: stopped, part 2 of 3" in world.trimtab("stop", "one").out
    assert len(read_commands(world.find("one.评判"))) == 1
    # As if the leader had been killed before it started the second part.
    world.trimtab("delete", "one.评判", "--yes")
    told = world.trimtab("status", "one").out
    assert "lost, part 2 of 3: 评判" in told
    assert "what led the parts is gone without a word" in told


def test_a_part_whose_run_was_deleted_is_missed_and_trained_again(world: World) -> None:
    world.fake_pipeline(评判={"steps": 100, "delay": 0.01})
    world.trimtab("train", "trio", "--name", "one", "--detach")
    until(lambda: is_busy_at(2))
    shutil.rmtree(world.find("one.sft").path)
    until(lambda: not pipeline().is_led())
    told = world.trimtab("status", "one").out
    assert "failed, part 1 of 3: sft" in told
    assert "part ppo needs what part sft made" in told
    assert world.trimtab("resume", "one").code == 0
    assert pipeline().standing().state is RunState.FINISHED


def test_two_pipelines_go_at_once_and_a_name_is_given_once(world: World) -> None:
    world.trimtab("train", "trio", "--name", "one", "--detach")
    taken = world.trimtab("train", "trio", "--name", "one")
    assert (taken.code, "one is there already" in taken.err) == (2, True)
    bad = world.trimtab("train", "trio", "--name", "../one")
    assert (bad.code, "is not a good name" in bad.err) == (2, True)
    assert world.trimtab("train", "trio").code == 0
    assert pipeline("trio-1").standing().state is RunState.FINISHED
    until(lambda: not pipeline().is_led())
    assert [name for name in world.run_names() if "." not in name] == ["one", "trio-1"]


def test_a_part_that_breaks_a_rule_is_named_and_nothing_is_made(world: World) -> None:
    world.preset("two", THREE_PARTS.replace("demo-rm", "demo-dpo"))
    refused = world.trimtab("train", "two")
    assert refused.code == 2
    assert "Part 3 of 3: ppo (ppo)\nerror: stage ppo needs a reward" in refused.err
    assert world.run_names() == []


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("lora_rank=4", "a setting of a pipeline begins with a part"),
        ("lora_alpha=1.5", "a setting of a pipeline begins with a part"),
        ("4.lora_rank=4", "there is no such part. The parts are 1 (sft), 2 (评判), 3 (ppo)"),
        ("sft.lora_rnk=4", "part sft: there is no such parameter"),
        ("sft.run_name=x", "Its run is called after pipeline and part"),
    ],
)
def test_a_setting_says_of_which_part_it_is(world: World, word: str, problem: str) -> None:
    refused = world.trimtab("train", "trio", word)
    assert (refused.code, problem in refused.err) == (2, True), refused.err


def test_check_looks_at_every_part_and_says_what_is_not_there_yet(world: World) -> None:
    checked = world.trimtab("check", "trio")
    assert checked.code == 0
    assert "Part 2 of 3: 评判 (rm)\nstarts from what sft will have made, which is not there yet" in checked.out
    assert "trio: 3 parts, 0 errors, 0 warnings" in checked.out
    wrong = world.trimtab("check", "trio", "2.dataset=nothing", "--json")
    told = json.loads(wrong.out)
    assert (wrong.code, told["ok"], [part["ok"] for part in told["parts"]]) == (1, False, [True, False, True])
    assert told["parts"][2]["needs"] == ["sft", "评判"]
