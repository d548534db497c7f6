"""Making, finding, listing and deleting runs."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.run.fake_trainer import fake_resolved, write_run
from trainer.errors import UserError
from trainer.run import RunDirectory, create_run, delete_run, find_run, free_run_name, list_runs
from trainer.run.directory import git_commit


def test_a_new_run_is_private_complete_and_gives_its_recipe_back(runs_folder: Path) -> None:
    resolved = fake_resolved()

    run = create_run("sft-lora", resolved, name="first", extra_identity={"rows": 3})

    assert run.path == runs_folder / "first"
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert run.recipe().model_dump() == resolved.recipe.model_dump()
    identity = run.identity()
    assert (identity.name, identity.preset, identity.extra) == ("first", "sft-lora", {"rows": 3})
    assert identity.working_folder == str(Path.cwd())
    assert [path.name for path in runs_folder.iterdir()] == ["first"]


def test_automatic_choices_stand_in_the_recipe_with_their_reason(run: RunDirectory) -> None:
    assert "learning_rate = 0.0001 # auto: usual for sft with lora" in run.recipe_file.read_text()


def test_unnamed_runs_are_numbered_after_their_preset(runs_folder: Path) -> None:
    (runs_folder / "demo-2").mkdir(parents=True)
    (runs_folder / "demo-2" / "something").touch()

    names = [create_run(preset, fake_resolved()).name for preset in ("demo", "demo", "/a/b c.toml")]

    assert names == ["demo-1", "demo-3", "b-c-1"]


def test_a_run_that_exists_is_not_touched(run: RunDirectory) -> None:
    with pytest.raises(UserError) as caught:
        create_run("demo", fake_resolved(), name=run.name)

    assert "resume it with `trimtab resume demo-1` or choose another run_name" in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-x", "a\nb", "x" * 200])
def test_names_that_cannot_be_folders_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="is not a good name"):
        create_run("demo", fake_resolved(), name=name)


def test_a_full_disk_leaves_nothing_behind(runs_folder: Path, full_disk) -> None:  # type: ignore[no-untyped-def]
    resolved = fake_resolved()

    with full_disk(10), pytest.raises(UserError, match="cannot make the run") as caught:
        create_run("demo", resolved)

    assert "TRIMTAB_RUNS" in str(caught.value)
    assert list(runs_folder.iterdir()) == []


def test_two_makers_never_share_a_run(runs_folder: Path) -> None:
    program = (
        "from tests.trainer.run.fake_trainer import fake_resolved\nfrom trainer.run import create_run\n"
        "resolved = fake_resolved()\nfor _ in range(10):\n    print(create_run('demo', resolved).name)\n"
    )
    makers = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    names = [name for maker in makers for name in maker.communicate()[0].split()]

    assert sorted(names, key=lambda name: int(name[5:])) == [f"demo-{number}" for number in range(1, 21)]


def test_runs_are_listed_newest_first_from_any_folder(
    runs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b", "a", "c"):
        create_run("demo", fake_resolved(), name=name)
    create_run("demo", fake_resolved(), name="far", folder=tmp_path / "elsewhere")
    (runs_folder / "not a run").mkdir()
    assert [run.name for run in list_runs()] == ["far", "c", "a", "b"]

    monkeypatch.setenv("TRIMTAB_RUNS", str(tmp_path / "nowhere"))
    assert [run.name for run in list_runs()] == ["far", "c", "a", "b"]


def test_a_run_is_found_by_name_or_path_and_a_near_name_is_offered(run: RunDirectory) -> None:
    assert find_run("demo-1") == run
    assert find_run(run.path) == run
    assert find_run(os.path.relpath(run.path)) == run
    with pytest.raises(UserError, match="Did you mean demo-1"):
        find_run("demo1")
    with pytest.raises(UserError, match="there is no run"):
        find_run("zzz")


def test_of_several_runs_of_a_name_the_one_in_the_runs_folder_is_meant(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = create_run("demo", fake_resolved(), name="demo-1", folder=tmp_path / "elsewhere")
    assert find_run("demo-1") == run
    monkeypatch.setenv("TRIMTAB_RUNS", str(other.path.parent))
    assert find_run("demo-1") == other
    monkeypatch.setenv("TRIMTAB_RUNS", str(tmp_path / "third"))
    with pytest.raises(UserError, match="several runs"):
        find_run("demo-1")


def test_an_automatic_name_is_free_in_all_folders(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.name == "demo-1"
    monkeypatch.setenv("TRIMTAB_RUNS", str(tmp_path / "another"))
    assert free_run_name("demo") == "demo-2"
    assert create_run("demo", fake_resolved()).name == "demo-2"


def test_a_run_of_a_newer_trimtab_says_so(run: RunDirectory) -> None:
    run.identity_file.write_text('{"format": 99}')

    with pytest.raises(UserError, match="newer trimtab"):
        run.identity()


def test_a_run_is_deleted_only_when_nobody_writes_it(runs_folder: Path) -> None:
    going = write_run(runs_folder / "going", end="running", steps=20)
    done = write_run(runs_folder / "done", steps=20)

    with pytest.raises(UserError, match="still going"):
        delete_run(going)
    delete_run(done)

    assert [path.name for path in runs_folder.iterdir()] == ["going"]
    assert list_runs() == [going]


def test_the_commit_is_read_from_a_checkout_and_from_packed_references(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "x")
    inside = tmp_path / "deep" / "er"
    inside.mkdir(parents=True)
    assert git_commit(inside) == git("rev-parse", "HEAD")
    git("pack-refs", "--all")
    assert git_commit(inside) == git("rev-parse", "HEAD")
