"""ppo, grpo and rloo with all kinds of reward models and references: each is asked, found again, and not saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.methods.training import home_in, train_here
from tests.stages.courses import METHODS, Courses, differences, figures_of, state_of
from tests.training_runs import events_of


@pytest.fixture(scope="module")
def courses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Courses]:
    folder = tmp_path_factory.mktemp("judges")
    with home_in(folder):
        yield Courses(folder)


@pytest.fixture(scope="module")
def judges(courses: Courses) -> dict[str, str]:
    """A reward model for each way in which one can be trained."""
    return {
        method: str(train_here(courses.run("rm", f"rm-{method}", **METHODS[method])).checkpoint)
        for method in ("lora", "full")
    }


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "adapter-judge": ("ppo", "lora", {"judge": "lora", "reward_model_type": "lora"}),
    "adapter-judge-of-qlora": ("grpo", "qlora", {"judge": "lora", "reward_model_type": "lora"}),
    "judge-of-few-bits": (
        "ppo",
        "full",
        {"judge": "full", "reward_model_type": "full", "reward_model_quantization_bit": 4},
    ),
    "adapter-as-judge-of-its-own": ("rloo", "freeze", {"judge": "lora", "reward_model_type": "full"}),
    "oft": ("ppo", "lora", {"finetuning_type": "oft", "oft_block_size": 8}),
    "reference-of-few-bits": ("ppo", "lora", {"ref_model": "same", "ref_model_quantization_bit": 4}),
}


@pytest.mark.parametrize("case", CASES)
def test_stopped_and_resumed_a_run_with_a_judge_is_the_one_that_was_left_alone(
    courses: Courses, judges: dict[str, str], case: str
) -> None:
    stage, method, values = CASES[case]
    values = dict(values)
    if "judge" in values:
        values |= {"reward_model": judges[values.pop("judge")], "reward_funcs": [], "reward_regex": None}
    if "ref_model" in values:
        values["ref_model"] = str(courses.model())
    course = courses.course(stage, method, **values)
    assert course.whole.changed
    assert not any("reward" in name for name in course.whole.changed)
    assert differences(course.whole.after, course.resumed.after) == []
    assert differences(state_of(course.whole.checkpoint), state_of(course.resumed.checkpoint)) == []
    figures = figures_of(course.whole.run)
    assert figures == figures_of(course.resumed.run)
    assert not list(Path(course.whole.checkpoint).glob("reward*"))
    if "reward_model" in values:
        assert len({sample.score for sample in events_of(course.whole.run, "sample")}) > 1
    if "ref_model" in values:
        # Rounded to four bits it is near the policy, but not the same.
        assert 1e-6 < abs(figures["metrics", 1]["kl"]) < 0.5
