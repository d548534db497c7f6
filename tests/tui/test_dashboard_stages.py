"""The dashboard in every stage: its own curves first, any other by choice, answers below their prompts."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

import pytest
from textual.widgets import Static

from tests.tui.cockpit_world import dashboard, screen_text, until, until_drawn
from trainer.config import Hardware, Recipe, resolve
from trainer.run import EndEvent, EvaluationEvent, EventWriter, MetricsEvent, SampleEvent, StatusWriter, create_run
from tui.app import TrimtabApp
from tui.stage_curves import curve_title
from tui.widgets.chart import Chart

COMMON = ("loss", "grad_norm", "learning_rate", "tokens_per_second", "tokens", "step_seconds")
ANSWERING = ("reward", "reward_std", "answer_tokens", "answers_ended", "entropy", "kl", "clipped")
PAIRED = ("rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected")
MEASURED = {
    "pt": ("mean_token_accuracy", "entropy"),
    "sft": ("mean_token_accuracy", "entropy"),
    "rm": ("accuracy", "margin", "rewards/chosen", "rewards/rejected"),
    "dpo": (*PAIRED, "rewards/accuracies"),
    "kto": (*PAIRED, "kl"),
    "ppo": (*ANSWERING, "kl_coef", "loss/policy", "loss/value"),
    "grpo": (*ANSWERING, "groups_of_one_mind"),
    "rloo": (*ANSWERING, "groups_of_one_mind"),
}
"""What the trainer of a stage logs beside what all of them do (docs/stages.md)."""
FIRST = {
    "pt": ("loss", "perplexity", "learning rate"),
    "sft": ("loss", "learning rate", "gradient norm"),
    "rm": ("loss", "accuracy", "margin"),
    "dpo": ("loss", "rewards/accuracies", "rewards/margins"),
    "kto": ("loss", "rewards/margins", "KL"),
    "ppo": ("reward", "KL", "tokens an answer"),
    "grpo": ("reward", "KL", "groups of one mind"),
    "rloo": ("reward", "KL", "groups of one mind"),
}


class StageRun:
    """A run of a stage as its trainer would write it."""

    def __init__(self, stage: str, **values: object) -> None:
        recipe = Recipe().with_values(
            {
                "model.model_name_or_path": "demo_model",
                "data.dataset": ["identity"],
                "method.stage": stage,
                "train.eval_strategy": "steps",
                **values,
            }
        )
        resolved = resolve(recipe, Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2))
        self.run = create_run("demo", resolved, name=f"a-{stage}")
        self.events = EventWriter(self.run)
        self.status = StatusWriter(self.run)

    def __enter__(self) -> StageRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.events.close()
        self.status.close()

    def measure(self, stage: str, *, without: str = "") -> None:
        names = [name for name in (*COMMON, *MEASURED[stage]) if name != without]
        for step in range(1, 21):
            self.events.write(MetricsEvent(step, step / 10, dict.fromkeys(names, step / 20)))
        self.status.update(phase="running", step=20, total_steps=40)


@pytest.mark.parametrize("stage", sorted(FIRST))
async def test_the_curves_of_the_stage_stand_first(stage: str) -> None:
    with StageRun(stage) as run:
        run.measure(stage)
        run.events.write(EvaluationEvent(20, {"eval_loss": 0.5, "eval_perplexity": 1.65}))
        app = TrimtabApp(run=run.run.path)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until_drawn(pilot)
            shown = screen_text(app)
            for title in FIRST[stage]:
                assert f" {title}  " in shown
            drawn = [chart for chart in app.screen.query(Chart) if chart.is_on_screen]
            assert [curve_title(chart.curve) for chart in drawn] == list(FIRST[stage])
            await until(pilot, lambda: all(chart.picture is not None for chart in drawn))
            assert stage != "pt" or "perplexity  1.6500" in screen_text(app)
            # The figure of the top row is that of the large chart.
            assert f"step 20/40   {FIRST[stage][0]}  1.0000" in shown


async def test_a_curve_that_the_run_does_not_have_gives_its_place_to_the_next() -> None:
    with StageRun("grpo") as run:
        run.measure("grpo", without="kl")
        app = TrimtabApp(run=run.run.path)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until_drawn(pilot)
            curves = [chart.curve for chart in dashboard(app).board.charts]
            assert curves == ["reward", "groups_of_one_mind", "answer_tokens", "learning_rate", "reward_std"]


async def test_any_curve_can_be_put_into_a_chart_and_the_first_ones_back() -> None:
    with StageRun("ppo") as run:
        run.measure("ppo")
        app = TrimtabApp(run=run.run.path)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until_drawn(pilot)
            board = dashboard(app).board
            await pilot.press("m")
            await until(pilot, lambda: "spread of rewards" in screen_text(app))
            # The list begins on the curve of now, `reward`; two further down is the length of answers.
            await pilot.press("down", "down", "enter")
            await until(pilot, lambda: board.main.curve == "answer_tokens" and board.main.picture is not None)
            # What stood there has changed places with it: nothing is shown twice.
            assert [chart.curve for chart in board.charts[:3]] == ["answer_tokens", "kl", "reward"]
            await pilot.press("m", "home", "enter")
            await until(pilot, lambda: [chart.curve for chart in board.charts[:2]] == ["reward", "kl"])


async def test_before_the_first_step_it_says_what_will_be_measured() -> None:
    with StageRun("ppo", **{"train.logging_steps": 2}) as run:
        app = TrimtabApp(run=run.run.path)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until(pilot, lambda: "first reward after step 2" in screen_text(app))
            await pilot.press("l", "l", "l")
            await until(pilot, lambda: "answers appear here with their rewards" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_sampled_answer_stands_below_its_prompt_with_its_reward(size: tuple[int, int]) -> None:
    with StageRun("grpo") as run:
        run.measure("grpo")
        run.events.write(SampleEvent(10, "Tell me\nsomething.", "Hello there.", 0.1, 0.25))
        run.events.write(SampleEvent(20, "天空是什么颜色的？", "蓝色。", 0.1, 1.0))
        run.events.write(SampleEvent(20, "天空是什么颜色的？", "不知道。", 0.1, 0.0))
        app = TrimtabApp(run=run.run.path)
        async with app.run_test(size=size, notifications=True) as pilot:
            await until_drawn(pilot)
            for _ in range(3 if size == (80, 24) else 0):
                await pilot.press("l")
            await until(pilot, lambda: "Hello there." in screen_text(app))
            lines = [line[-40:] if size == (120, 40) else line for line in screen_text(app).splitlines()]
            at = next(number for number, line in enumerate(lines) if "Tell me something." in line)
            assert "reward 0.25  Hello there." in lines[at + 1]
            # Two answers to one prompt stand below it together.
            at = next(number for number, line in enumerate(lines) if "天空是什么颜色的？" in line)
            assert "reward 1  蓝色。" in lines[at + 1]
            assert "reward 0  不知道。" in lines[at + 2]


async def test_a_run_that_trained_nothing_offers_no_chat(runs_folder: Path) -> None:
    with StageRun("sft", **{"train.do_train": False}) as run:
        figures = {"eval_loss": 1.5, "eval_model_preparation_time": 0.004}
        run.events.write(EvaluationEvent(0, figures))
        run.events.write(EndEvent("finished", 0, "evaluated without training"))
        run.status.update(exit_reason="finished")
    app = TrimtabApp(run=run.run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "finished without training" in screen_text(app))
        banner = str(app.screen.query_one("#banner", Static).content)
        assert "chat" not in banner
        assert " c chat" not in screen_text(app)
        # Where curves would be, and not only in a row that the end of the run has pushed out of sight.
        await until(pilot, lambda: "eval_loss 1.5000" in screen_text(app))
        assert "preparation" not in screen_text(app)


@pytest.mark.parametrize(
    ("stage", "values", "absent"),
    [
        ("rm", {"data.val_size": 0.1}, ["g sample"]),
        ("sft", {}, ["e evaluate"]),
        ("dpo", {"data.val_size": 0.1}, []),
    ],
)
async def test_keys_that_the_stage_has_no_use_for_are_not_offered(
    stage: str, values: dict[str, object], absent: list[str]
) -> None:
    with StageRun(stage, **values) as run:
        run.measure(stage)
        app = TrimtabApp(run=run.run.path)
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await until_drawn(pilot)
            keys = screen_text(app).splitlines()[-1]
            assert [hint for hint in ("e evaluate", "g sample") if hint not in keys] == absent


async def test_without_sample_prompts_one_is_asked_for() -> None:
    with StageRun("ppo") as run:
        run.measure("ppo")
        app = TrimtabApp(run=run.run.path)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until_drawn(pilot)
            await pilot.press("g")
            await until(pilot, lambda: "a prompt for the weights as they are now" in screen_text(app))
            await pilot.press(*"Hi?", "enter")
            await until(pilot, lambda: any(run.run.commands_folder.glob("[0-9]*.json")))
            command = json.loads(next(run.run.commands_folder.glob("[0-9]*.json")).read_text())
            assert (command["verb"], command["arguments"]) == ("sample", {"prompts": ["Hi?"]})
