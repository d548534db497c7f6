"""`trimtab train` of a file of steps: what is wrong is told before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.command_line import main

STEPS = '[[pipeline]]\nname = "sft"\nextends = "demo"\n[[pipeline]]\nname = "policy"\nextends = "demo-ppo"\n'


def test_a_step_that_breaks_a_rule_is_named_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIMTAB_RUNS", str(tmp_path / "runs"))
    file = tmp_path / "steps.toml"
    file.write_text(STEPS + "[pipeline.reward]\nreward_funcs = []\nreward_words = []\n")
    assert main(["train", str(file)]) == 2
    assert "policy: error: stage ppo needs a reward" in capsys.readouterr().out
    assert list((tmp_path / "runs").iterdir()) == []
    assert main(["train", str(file), "lora_rank=4"]) != 0
    assert "a pipeline takes no settings on the command line" in capsys.readouterr().err
