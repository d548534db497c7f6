"""What a run leaves behind and sends away: loss picture, profiles, reports to services, the upload of its result."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tiny import make_tiny_data
from tests.trainer.engine.model_hub_server import ModelHub
from tests.training_runs import TrainingRuns, events_of, losses_of
from trainer.config.reporters import PACKAGES
from trainer.run import RunDirectory, RunState
from trainer.run.loss_picture import loss_svg

# What transformers' callback calls of SwanLab, kept in a file.
SWANLAB = """
import json, pathlib
class Config(dict): pass
config, _run, _place = Config(), None, None
def _keep(**record):
    with (_place / "calls.jsonl").open("a") as file: file.write(json.dumps(record, default=str) + "\\n")
def get_run():
    if _run is None: raise RuntimeError("No active Run. Call swanlab.init() first.")
    return _run
def init(**given):
    global _run, _place
    _run, _place = object(), pathlib.Path(given["logdir"])
    _place.mkdir()
    _keep(call="init", **given)
def log(values, step=None): _keep(call="log", values=values, step=step)
"""
# A service that breaks when the first figures come.
TRACKIO = """
import contextvars, types
__version__ = "0.30.0"
class Config(dict):
    def update(self, values, **more): pass
config = Config()
context_vars = types.SimpleNamespace(current_space_id=contextvars.ContextVar("space", default=None))
def init(**given): pass
def log(*given, **more): raise ConnectionError("nobody there")
def finish(): raise AssertionError("must not be called any more")
"""


@dataclass
class Everything:
    """A run that was asked for all of it, and what the hub got."""

    run: RunDirectory
    hub: ModelHub
    code: int

    def findings(self, name: str) -> list[str]:
        return [event.text for event in events_of(self.run, "finding") if event.id == name]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Everything]:
    folder = tmp_path_factory.mktemp("results")
    packages = folder / "packages"
    packages.mkdir()
    (packages / "swanlab.py").write_text(SWANLAB, encoding="utf-8")
    (packages / "trackio.py").write_text(TRACKIO, encoding="utf-8")
    runs = TrainingRuns(folder, tiny_model, make_tiny_data(folder / "sums.json"))
    run = runs.create(
        "all",
        method={"plot_loss": True},
        data={"val_size": 0.2},
        profiler={"enable_torch_profiler": True, "profile_modules": "self_attn,mlp", "profiler_with_stack": False},
        swanlab={"use_swanlab": True, "swanlab_project": "sums", "swanlab_mode": "local", "swanlab_run_name": "first"},
        train={
            "max_steps": 6,
            "eval_strategy": "steps",
            "eval_steps": 3,
            "report_to": ["trackio"],
            "push_to_hub": True,
            "hub_model_id": "me/result",
        },
    )
    environment = {"XDG_DATA_HOME": str(folder / "home"), "PYTHONPATH": str(packages), "HF_TOKEN": "hf_secretsecret"}
    with ModelHub() as hub:
        code = runs.train(run, HF_ENDPOINT=hub.address, HF_HUB_DISABLE_XET="1", **environment)
        yield Everything(run, hub, code)


def test_the_run_finishes_and_logs_as_ever(everything: Everything) -> None:
    assert everything.code == 0, everything.run.log_file.read_text()[-3000:]
    assert everything.run.state() is RunState.FINISHED
    assert list(losses_of(everything.run)) == [1, 2, 3, 4, 5, 6]


def test_the_loss_picture_shows_training_and_evaluation(everything: Everything) -> None:
    picture = everything.run.path / "loss.svg"
    root = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [6, 6, 2]
    words = [text.text for text in root.findall("{http://www.w3.org/2000/svg}text")]
    assert {"loss", "smoothed", "eval_loss", "step"} <= set(words)
    assert everything.findings("run_loss_picture") == [f"the loss curve is in {picture}"]


def test_the_profiler_writes_a_trace_of_the_step_that_was_asked_for(everything: Everything) -> None:
    folder = everything.run.path / "profile"
    # One step to wait, one to warm up, one recorded.
    assert [file.name for file in folder.glob("*.trace.json")] == ["step-00000003.trace.json"]
    trace = json.loads((folder / "step-00000003.trace.json").read_text(encoding="utf-8"))
    names = {event.get("name") for event in trace["traceEvents"]}
    assert any("aten::" in str(name) for name in names)
    assert "aten::" in (folder / "step-00000003.operations.txt").read_text(encoding="utf-8")
    assert len(everything.findings("run_trace_written")) == 1


def test_modules_are_timed_forward_and_backward(everything: Everything) -> None:
    table = (everything.run.path / "profile/step-00000003.modules.tsv").read_text(encoding="utf-8")
    head, *rows = [line.split("\t") for line in table.splitlines()]
    assert head == ["module", "forward_calls", "forward_ms", "backward_calls", "backward_ms", "total_ms"]
    assert len(rows) == 4  # two layers, attention and mlp each
    assert all(row[0].endswith((".self_attn", ".mlp")) for row in rows)
    # Two micro-batches in a step.
    assert {(row[1], row[3]) for row in rows} == {("2", "2")}
    assert all(float(row[2]) > 0 and float(row[4]) > 0 for row in rows)


def test_swanlab_gets_settings_and_figures_under_its_own_name(everything: Everything) -> None:
    file = everything.run.path / "swanlog/calls.jsonl"
    calls = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert calls[0]["call"] == "init"
    assert (calls[0]["project"], calls[0]["experiment_name"], calls[0]["mode"]) == ("sums", "first", "local")
    losses = {call["step"]: call["values"]["train/loss"] for call in calls[1:] if "train/loss" in call["values"]}
    assert losses == pytest.approx(losses_of(everything.run))
    assert [call["step"] for call in calls[1:] if "eval/loss" in call["values"]] == [3, 6]
    assert "hf_secretsecret" not in file.read_text(encoding="utf-8")


def test_a_service_that_fails_is_told_once_and_left_out(everything: Everything) -> None:
    assert everything.findings("run_report_failed") == [
        "trackio failed and gets nothing more from this run: ConnectionError: nobody there"
    ]


def test_the_result_is_uploaded_privately_without_what_only_a_resume_needs(everything: Everything) -> None:
    hub = everything.hub
    assert [(made["name"], made.get("organization")) for made in hub.created] == [("result", "me")]
    assert hub.created[0].get("private") is True or hub.created[0].get("visibility") == "private"
    assert hub.tokens == {"Bearer hf_secretsecret"}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= set(hub.files)
    unwanted = ("optimizer", "scheduler", "rng_state", "trainer_state", "training_args", "trimtab", "manifest")
    assert [name for name in hub.files if name.startswith(unwanted)] == []
    newest = everything.run.checkpoints_folder / "step-00000006"
    assert hub.files["adapter_model.safetensors"] == (newest / "adapter_model.safetensors").read_bytes()
    assert len(everything.findings("run_uploaded")) == 1


def test_a_failed_upload_does_not_cost_the_run(runs: TrainingRuns) -> None:
    with ModelHub(refuses=True) as hub:
        run = runs.create("refused", train={"max_steps": 2, "push_to_hub": True, "hub_model_id": "me/result"})
        assert runs.train(run, HF_ENDPOINT=hub.address, HF_TOKEN="hf_secretsecret") == 0
    assert run.state() is RunState.FINISHED
    (said,) = [event for event in events_of(run, "finding") if event.id == "run_upload_failed"]
    assert said.severity == "warning"
    assert str(run.checkpoints_folder / "step-00000002") in said.text
    assert "hf_secretsecret" not in run.log_file.read_text(encoding="utf-8")


def test_a_module_name_that_matches_nothing_ends_the_run_with_some_that_would(runs: TrainingRuns) -> None:
    run = runs.create("nothing", profiler={"profile_modules": "attention"})
    assert runs.train(run) == 1
    end = events_of(run, "end")[-1]
    assert "profile_modules = 'attention': no module of the model has such a name" in end.text
    assert "self_attn" in end.text


def test_the_services_are_those_of_the_installed_transformers() -> None:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    # It runs inside Kubernetes alone, without a package.
    assert set(PACKAGES) == set(INTEGRATION_TO_CALLBACK) - {"kubeflow"}


@pytest.mark.parametrize(
    "training",
    [
        [(1.0, 2.0)],
        [(1.0, 0.0), (2.0, 0.0)],
        [(float(step), 1e-9 * step) for step in range(5)],
        [(1.0, -3.0), (9.0, 1e6)],
    ],
)
def test_odd_curves_can_be_drawn(training: list[tuple[float, float]]) -> None:
    ElementTree.fromstring(loss_svg("a & b", training, {"eval_x_loss": [(1.0, 2.0)], "eval_y_loss": []}))
