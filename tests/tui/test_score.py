"""The Score screen in the real app: with a small stand-in for the worker, and once with the worker itself."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Label

from tests.trainer.run.fake_trainer import write_run
from tests.training_runs import TrainingRuns
from tests.tui import fake_chat_worker
from tests.tui.cockpit_world import LiveRun, screen_text, speaking, until, until_drawn
from trainer.chat.scoring import load_to_score
from trainer.data import Message
from trainer.run import RunDirectory, write_checkpoint
from tui import workers
from tui.app import TrimtabApp
from tui.screens.chat import ChatScreen
from tui.screens.score import ScoreScreen
from tui.widgets.answer_sheet import AnswerSheet, SheetArea
from tui.widgets.chat_log import ChatLog

SIZE = (100, 30)


@pytest.fixture
def fake_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = workers.ChatClient.__init__
    command = (sys.executable, fake_chat_worker.__file__)
    monkeypatch.setattr(workers.ChatClient, "__init__", lambda self: begin(self, command))


def reward_run(folder: Path, base: Path, *, stage: str = "rm", kind: str = "SEQ_CLS") -> RunDirectory:
    """A finished run, of stage rm if nothing else is said, with checkpoints at step 30 and 60."""
    run = write_run(folder, steps=60, save_steps=30)
    as_reward_run(run, base, [30, 60], stage=stage, kind=kind)
    return run


def as_reward_run(
    run: RunDirectory, base: Path, steps: Sequence[int], *, stage: str = "rm", kind: str = "SEQ_CLS"
) -> None:
    """Let its recipe and its checkpoints be those of a reward model."""
    run.recipe_file.write_text(re.sub(r'(?m)^stage = ".*"$', f'stage = "{stage}"', run.recipe_file.read_text()))
    assert run.recipe().method.stage == stage

    def fill(checkpoint: Path) -> None:
        (checkpoint / "trimtab.json").write_text(json.dumps({"base_model": str(base), "run": run.name}))
        (checkpoint / "adapter_config.json").write_text(json.dumps({"task_type": kind}))

    for step in steps:
        write_checkpoint(run.checkpoints_folder, step, fill)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    made = tmp_path / "base"
    made.mkdir()
    return made


@pytest.fixture
def run(runs_folder: Path, base: Path, fake_worker: None) -> RunDirectory:
    return reward_run(runs_folder / "judge", base)


def score_of(app: TrimtabApp) -> ScoreScreen:
    assert isinstance(app.screen, ScoreScreen)
    return app.screen


def shown(app: TrimtabApp) -> list[list[str]]:
    """The lines of the log, as words."""
    return [line.split() for line in app.screen.query_one(ChatLog).plain.splitlines() if line.strip()]


async def open_score(app: TrimtabApp, pilot: Pilot[Any], run: RunDirectory) -> ScoreScreen:
    app.open_score(None, run.path)
    # The real worker imports torch, which takes long on a machine that has other things to do.
    await until(pilot, lambda: isinstance(app.screen, ScoreScreen) and app.screen.session.phase == "ready", 120)
    return score_of(app)


async def type_line(pilot: Pilot[Any], words: str) -> None:
    """Type and press Enter, and let the paste timer of the field run out."""
    for sign in words:
        await pilot.press(sign)
    await pilot.press("enter")
    await pilot.pause(0.15)


async def judged(app: TrimtabApp, pilot: Pilot[Any], answers: int) -> None:
    """Wait until the newest judgement has so many answers, all with numbers, and is drawn."""

    def done() -> bool:
        screen = score_of(app)
        last = screen.judgements[-1] if screen.judgements else None
        return last is not None and len(last.answers) == answers and last.complete and not screen.session.busy

    await until(pilot, done)
    score_of(app).draw()
    await pilot.pause()


async def test_answers_stand_in_the_order_of_their_numbers_with_the_difference(run: RunDirectory) -> None:
    app = TrimtabApp(screen="score")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_score(app, pilot, run)
        await type_line(pilot, "Why?")
        await type_line(pilot, "abc")
        await judged(app, pilot, 1)
        assert "One number alone says nothing" in screen_text(app)
        await type_line(pilot, "abcde")
        await judged(app, pilot, 2)
        await type_line(pilot, "你好")
        await judged(app, pilot, 3)
        lines = shown(app)
        assert lines[0] == ["prompt", "Why?"]
        assert [line[0] for line in lines[1:]] == ["1", "2", "3"]
        assert [line[1] for line in lines[1:]] == ["+5.000", "+3.000", "+2.000"]
        assert [line[2] for line in lines[2:]] == ["-2.000", "-3.000"]
        assert [line[-1] for line in lines[1:]] == ["abcde", "abc", "你好"]
        # Bradley and Terry: exp(5), exp(3) and exp(2) in parts of their sum.
        assert [line[-3:-1] for line in lines[1:]] == [["84", "%"], ["11", "%"], ["4", "%"]]
        assert len(screen.judgements) == 1


async def test_an_answer_that_is_changed_is_judged_again_and_one_that_is_emptied_goes(run: RunDirectory) -> None:
    app = TrimtabApp(screen="score")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_score(app, pilot, run)
        for words in ("Why?", "abc", "abcde"):
            await type_line(pilot, words)
        await pilot.press("x", "backspace")
        await until(pilot, lambda: len(screen.query(SheetArea)) == 5)  # system prompt, prompt, and one answer more
        await pilot.press("up", "up")
        await type_line(pilot, "xyz")
        await judged(app, pilot, 2)
        assert [answer.text for answer in screen.judgements[-1].ranked()] == ["abcxyz", "abcde"]
        await pilot.press("ctrl+a", "ctrl+k")
        await type_line(pilot, "")
        await judged(app, pilot, 1)
        assert screen.query_one(AnswerSheet).answers == ["abcde"]


async def test_another_prompt_leaves_the_one_before_in_the_scroll_back(run: RunDirectory) -> None:
    app = TrimtabApp(screen="score")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_score(app, pilot, run)
        for words in ("one", "abc"):
            await type_line(pilot, words)
        await pilot.press("ctrl+l")
        await pilot.pause(0.1)
        for words in ("two", "ab", "a"):
            await type_line(pilot, words)
        await judged(app, pilot, 2)
        assert [line for line in shown(app) if line[0] == "prompt"] == [["prompt", "one"], ["prompt", "two"]]
        assert len(screen.judgements) == 2
    files = list(run.samples_folder.glob("score-*.jsonl"))
    assert len(files) == 1
    last = json.loads(files[0].read_text().splitlines()[-1])
    assert last["messages"] == [{"role": "user", "content": "two"}]
    assert last["answers"] == [{"answer": "ab", "score": 2.0}, {"answer": "a", "score": 1.0}]


async def test_the_conversation_goes_on_with_the_best_answer(run: RunDirectory) -> None:
    app = TrimtabApp(screen="score")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_score(app, pilot, run)
        for words in ("one", "a", "abc"):
            await type_line(pilot, words)
        await judged(app, pilot, 2)
        await pilot.press("f2")
        await pilot.pause(0.1)
        for words in ("two", "abcd"):
            await type_line(pilot, words)
        await judged(app, pilot, 1)
        said = [(turn["role"], turn["content"]) for turn in screen.judgements[-1].messages()]
        assert said == [("user", "one"), ("assistant", "abc"), ("user", "two")]
        assert ["turn", "2", "two"] in shown(app)
        assert screen.judgements[-1].answers[0].score == 4 - 200


async def test_a_crash_is_one_line_and_retry_starts_a_new_worker(run: RunDirectory) -> None:
    app = TrimtabApp(screen="score")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_score(app, pilot, run)
        for words in ("crash", "abc"):
            await type_line(pilot, words)
        await until(pilot, lambda: "exit status 3" in screen_text(app))
        assert "out of memory" in screen_text(app)
        screen.query_one(AnswerSheet).write(prompt="again", answers=["abc"])
        await pilot.press("ctrl+y")
        await judged(app, pilot, 1)
        assert screen.judgements[-1].answers[0].score == 3.0
        screen.query_one(AnswerSheet).write(prompt="refuse", answers=["abc"])
        await pilot.press("ctrl+y")
        await until(pilot, lambda: "the model cannot do this" in screen_text(app))


async def test_escape_stops_and_what_is_known_stays(run: RunDirectory) -> None:
    app = TrimtabApp(screen="score")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_score(app, pilot, run)
        screen.query_one(AnswerSheet).write(prompt="slow", answers=["abc", "ab"])
        await pilot.press("ctrl+y")
        await until(pilot, lambda: screen.judgements[-1].answers[0].score is not None)
        await pilot.press("escape")
        await judged(app, pilot, 2)
        assert [answer.score for answer in screen.judgements[-1].answers] == [3.0, None]
        assert screen.session.phase == "ready"


async def test_what_is_written_is_judged_by_another_checkpoint_that_is_chosen(run: RunDirectory) -> None:
    app = TrimtabApp(screen="score")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_score(app, pilot, run)
        for words in ("Why?", "abc", "a"):
            await type_line(pilot, words)
        await judged(app, pilot, 2)
        screen.open(run.checkpoints_folder / "step-00000030", run.path)
        await until(pilot, lambda: len(screen.judgements) == 2)
        await judged(app, pilot, 2)
        lines = shown(app)
        assert ["judge", "·", "step", "60"] in lines
        assert ["judge", "·", "step", "30"] in lines
        screen._look_for_newer()
        await until(pilot, lambda: "step 60 is newer: ^o" in str(screen.query_one("#score-head", Label).content))


async def test_of_a_run_that_goes_on_the_checkpoint_is_asked_and_it_says_so(
    base: Path, runs_folder: Path, fake_worker: None
) -> None:
    live = LiveRun("live", save_steps=30)
    live.train(40)
    as_reward_run(live.run, base, [30])
    app = TrimtabApp(screen="score")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_score(app, pilot, live.run)
        assert "its checkpoint of step 30 is asked" in screen_text(app)


async def test_c_on_the_dashboard_of_a_reward_model_scores(run: RunDirectory) -> None:
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=SIZE) as pilot:
        await until_drawn(pilot)
        assert "finished: press c to let the reward model score answers" in screen_text(app)
        assert "c score" in screen_text(app)
        with speaking("zh"):
            app.relabel_all()
            await pilot.pause()
            assert "按 c 让奖励模型给回答打分" in screen_text(app)
            assert "c 打分" in screen_text(app)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ScoreScreen) and app.screen.session.phase == "ready")
        assert score_of(app).session.target is not None
        assert "4 Score" in screen_text(app)
        await pilot.press("escape", "2")
        await until(pilot, lambda: app.screen.area == "dashboard")  # type: ignore[attr-defined]
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, ScoreScreen))


async def test_c_in_the_table_of_runs_says_what_it_does(runs_folder: Path, base: Path, fake_worker: None) -> None:
    reward_run(runs_folder / "talker", base, stage="sft", kind="CAUSAL_LM")
    run = reward_run(runs_folder / "judge", base)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "judge" in screen_text(app) and "c score" in screen_text(app))
        await pilot.press("down")
        await until(pilot, lambda: "c chat" in screen_text(app))
        await pilot.press("up")
        await until(pilot, lambda: "c score" in screen_text(app))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ScoreScreen) and app.screen.session.phase == "ready")
        assert str(score_of(app).session.target.adapter).startswith(str(run.path))  # type: ignore[union-attr]


async def test_chat_and_score_hand_each_other_what_is_not_theirs(
    runs_folder: Path, base: Path, run: RunDirectory
) -> None:
    talker = reward_run(runs_folder / "talker", base, stage="sft", kind="CAUSAL_LM")
    app = TrimtabApp(screen="chat", run=run.path)
    async with app.run_test(size=SIZE) as pilot:
        # The Chat screen looks for something to load by itself, and finds a reward model.
        await until(pilot, lambda: isinstance(app.screen, ScoreScreen) and app.screen.session.phase == "ready")
        score_of(app).open(None, talker.path)
        await until(pilot, lambda: isinstance(app.screen, ChatScreen) and app.screen.session.phase == "ready")
        assert app.talk_mode == "chat"
        assert "4 Chat" in screen_text(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (20, 10)])
async def test_every_size_and_both_languages(run: RunDirectory, size: tuple[int, int]) -> None:
    app = TrimtabApp(screen="score")
    async with app.run_test(size=size) as pilot:
        screen = await open_score(app, pilot, run)
        with speaking("zh"):
            app.relabel_all()
            screen.query_one(AnswerSheet).write(prompt="长" * 200, answers=["很长的回答。" * 90, "短"])
            await pilot.press("ctrl+y")
            await judged(app, pilot, 2)
            log = screen.query_one(ChatLog)
            assert "+540.00" in log.plain
            assert " …" in log.plain
            assert len(log.plain.splitlines()) < 40
            await pilot.press("escape", "z")
            await pilot.pause()
            assert " …" not in log.plain
            assert log.plain.count("。") == 90
            await pilot.press("ctrl+g", "ctrl+g")


async def test_the_best_answer_is_in_view_when_not_all_fits(run: RunDirectory) -> None:
    app = TrimtabApp(screen="score")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_score(app, pilot, run)
        answers = ["x" * (1 + place) for place in range(25)]
        for prompt in ("one", "two"):
            screen.query_one(AnswerSheet).write(prompt=prompt, answers=answers)
            await pilot.press("ctrl+y")
            await judged(app, pilot, 25)
        log = screen.query_one(ChatLog)
        await until(pilot, lambda: log.plain.splitlines()[log.scroll_offset.y].split() == ["prompt", "two"])


async def test_the_real_worker_scores_with_the_checkpoint_of_a_run(
    runs: TrainingRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows = [{"instruction": f"What is {i} plus 1?", "chosen": f"It is {i + 1}.", "rejected": "No."} for i in range(8)]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    data = {"dataset": [str(tmp_path / "pairs.json")]}
    run = runs.create("judge", method={"stage": "rm"}, data=data, train={"max_steps": 2})
    assert runs.train(run) == 0
    app = TrimtabApp(screen="score")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_score(app, pilot, run)
        screen.query_one(AnswerSheet).write(system="Be brief.", prompt="What is 1 plus 1?", answers=["It is 2.", "No."])
        await pilot.press("ctrl+y")
        await judged(app, pilot, 2)
        answers = screen.judgements[-1].answers
        assert screen.judgements[-1].error == ""
        scored = load_to_score(str(run.checkpoints_folder / "step-00000002"))
        for answer in answers:
            turns = [("system", "Be brief."), ("user", "What is 1 plus 1?"), ("assistant", answer.text)]
            expected = scored.score_dialogue([Message(role, content) for role, content in turns])
            assert answer.score == pytest.approx(expected, abs=1e-5)
        assert answers[0].score != answers[1].score
