"""Will it fit? Setup with an inspect worker, a fake one over real pipes: bar, verdict, ways out, restarts."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.tui.cockpit_world import screen_text, speaking, until
from trainer.config import Finding
from tui.app import TrimtabApp
from tui.inspect_client import InspectClient
from tui.screens.setup import SetupScreen
from tui.widgets.dialogs import ChoiceDialog
from tui.widgets.form import Form

WORKER = (sys.executable, str(Path(__file__).with_name("fake_inspect_worker.py")))


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake worker, at once; the data are counted without a process."""

    async def counted(_values: object) -> tuple[Finding, ...]:
        return (Finding("data_rows", "info", (), "", {"train_rows": 36, "tokens": 36_000, "longest": 700}),)

    monkeypatch.setattr("tui.screens.setup.ESTIMATE_DELAY", 0.01)
    monkeypatch.setattr("tui.screens.setup.PREFLIGHT_DELAY", 0.01)
    monkeypatch.setattr("tui.screens.setup.ask_preflight", counted)
    monkeypatch.setattr("tui.screens.setup.InspectClient", lambda: InspectClient(WORKER))


@asynccontextmanager
async def setup_open(size: tuple[int, int] = (120, 40)) -> AsyncIterator[tuple[SetupScreen, Pilot[int]]]:
    """The app with Setup in front, and the memory of its first preset estimated."""
    app = TrimtabApp(screen="setup")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, SetupScreen)
        await until(pilot, lambda: "GiB" in screen_text(app))
        yield app.screen, pilot


def set_value(setup: SetupScreen, key: str, value: object) -> None:
    """As if it had been typed in."""
    setup.model.set(key, value)
    setup.form.post_message(Form.Changed((key,)))


def set_rows(setup: SetupScreen, rows: int) -> None:
    """Another batch size."""
    set_value(setup, "train.per_device_train_batch_size", rows)


async def test_the_panel_shows_memory_disk_and_time() -> None:
    async with setup_open() as (setup, pilot):
        set_rows(setup, 4)
        await until(pilot, lambda: "18.0 GiB, 22.0 GiB free: fits" in screen_text(pilot.app))
        await until(pilot, lambda: "as fast as earlier-1" in " ".join(screen_text(pilot.app).split()))
        shown = screen_text(pilot.app)
        assert "Some GPU" in shown
        assert "WWWW" in shown
        assert "AAAA" in shown
        assert "others 2.00 GiB" in shown
        assert "36,000 tokens" in shown
        assert "18.0 GiB of 100 GiB free" in shown  # three checkpoints of 6 GiB
        assert not setup.model.findings_of("train.per_device_train_batch_size")


async def test_a_price_is_shown_when_the_machine_has_one() -> None:
    async with setup_open() as (setup, pilot):
        set_value(setup, "train.price_per_hour", 7200.0)
        # 24 epochs of 36,000 tokens, 100 in a second, at 2 for a second.
        await until(pilot, lambda: "17,280.00" in screen_text(pilot.app))


async def test_what_does_not_fit_says_so_and_one_key_makes_it_fit() -> None:
    async with setup_open() as (setup, pilot):
        set_rows(setup, 8)
        await until(pilot, lambda: "2 changes would help" in screen_text(pilot.app))
        assert "26.0 GiB, 22.0 GiB free: does not fit" in screen_text(pilot.app)
        (found,) = setup.model.findings_of("train.per_device_train_batch_size")
        assert (found.id, found.severity) == ("memory_no", "warning")
        assert found.change["train.per_device_train_batch_size"] == 1
        setup.form.go_to("train.per_device_train_batch_size")
        await pilot.press("f")
        await until(pilot, lambda: "12.0 GiB, 22.0 GiB free: fits" in screen_text(pilot.app))
        assert setup.model.value("train.per_device_train_batch_size") == 1
        assert not setup.model.findings_of("train.per_device_train_batch_size")


async def test_any_of_the_changes_can_be_chosen() -> None:
    async with setup_open() as (setup, pilot):
        set_rows(setup, 8)
        await until(pilot, lambda: "2 changes would help" in screen_text(pilot.app))
        await pilot.press("m")
        await until(pilot, lambda: bool(pilot.app.screen.query(OptionList)))
        assert "12.0 GiB  fits  per_device_train_batch_size = 1 × 8" in screen_text(pilot.app)
        assert "25.0 GiB  not enough  cutoff_len = 256" in screen_text(pilot.app)
        await pilot.press("down", "enter")
        await pilot.pause()
        assert setup.model.value("data.cutoff_len") == 256
        assert setup.model.value("train.per_device_train_batch_size") == 8
        await pilot.press("u")
        assert setup.model.value("data.cutoff_len") == 512


@pytest.mark.parametrize(("language", "verdict"), [("en", "does not fit"), ("zh", "放不下")])
async def test_a_narrow_window_says_it_in_one_line(language: str, verdict: str) -> None:
    with speaking(language):
        async with setup_open((80, 24)) as (setup, pilot):
            set_rows(setup, 8)
            await until(pilot, lambda: verdict in screen_text(pilot.app))
            line = next(line for line in screen_text(pilot.app).splitlines() if verdict in line)
            assert line.lstrip().startswith("! 26.0 GiB")


async def test_a_worker_that_ends_is_started_again_by_the_next_change() -> None:
    async with setup_open() as (setup, pilot):
        set_rows(setup, 4)
        before = setup._inspect.worker.pid
        set_value(setup, "lora.lora_rank", 13)
        await until(pilot, lambda: "the inspect worker ended" in " ".join(screen_text(pilot.app).split()))
        set_value(setup, "lora.lora_rank", 16)
        await until(pilot, lambda: "GiB free: fits" in screen_text(pilot.app))
        assert setup._inspect.worker.pid != before


async def test_what_the_worker_refuses_is_told() -> None:
    async with setup_open() as (setup, pilot):
        set_value(setup, "lora.lora_rank", 14)
        await until(pilot, lambda: "rank 14 brings bad luck" in " ".join(screen_text(pilot.app).split()))


async def test_a_slow_answer_holds_nothing_up_and_is_dropped_for_a_newer_one() -> None:
    async with setup_open() as (setup, pilot):
        set_value(setup, "lora.lora_rank", 15)
        await pilot.pause(0.1)
        set_rows(setup, 2)
        await pilot.pause(0.1)
        assert "2" in screen_text(pilot.app)
        set_value(setup, "lora.lora_rank", 16)
        await until(pilot, lambda: "14.0 GiB, 22.0 GiB free" in screen_text(pilot.app))


async def test_the_worker_ends_with_the_cockpit() -> None:
    async with setup_open() as (setup, _):
        worker = setup._inspect.worker.current
        assert worker is not None
        assert worker.alive
    assert not worker.alive


async def test_a_narrow_window_shows_errors_first_and_the_key_to_start_and_keeps_its_keys_behind_a_dialog() -> None:
    async with setup_open((80, 24)) as (setup, pilot):
        set_rows(setup, 16)
        set_value(setup, "data.dataset", [])
        await until(pilot, lambda: " errors: " in screen_text(pilot.app))
        *_, said, keys = screen_text(pilot.app).rstrip().splitlines()
        assert said.startswith(" errors: ")
        assert keys.startswith(" ^r ")
        await pilot.press("m")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChoiceDialog))
        assert screen_text(pilot.app).rstrip().splitlines()[-1] == keys
