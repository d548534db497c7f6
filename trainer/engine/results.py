"""What is made of a run when it is over: a picture of its loss, an upload of its result. Neither costs the run."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Any

from trainer.config import Recipe
from trainer.run import Checkpoint, list_checkpoints
from trainer.run.loss_picture import write_loss_picture
from trainer.run.messages import words

if TYPE_CHECKING:
    from trainer.engine.session import RunSession

# What a resume needs and nobody who uses the model; `trimtab.json` and the manifest name places of this machine.
_NOT_UPLOADED = [
    "optimizer*",
    "scheduler*",
    "rng_state*",
    "scaler*",
    "trainer_state.json",
    "training_args.bin",
    "trimtab.json",
    "manifest.json",
]


def draw_loss(session: RunSession, recipe: Recipe, step: int) -> None:
    """The picture that `plot_loss` asks for."""
    if not recipe.method.plot_loss:
        return
    session.events.flush()
    try:
        path = write_loss_picture(session.run)
    except OSError as error:
        session.finding("warning", words("run_no_loss_picture", error=error.strerror or str(error)), step)
        return
    if path is not None:
        session.finding("info", words("run_loss_picture", path=str(path)), step)


def upload_result(session: RunSession, recipe: Recipe, step: int) -> None:
    """Upload the checkpoint of `step`, when the recipe asks for it.

    The repository is made private unless `hub_private_repo = false` stands in `[trainer]`: what is public cannot be
    taken back. The token comes from HF_TOKEN alone.
    """
    found = list_checkpoints(session.run.checkpoints_folder, verify="size") if recipe.train.push_to_hub else []
    checkpoint = next((each for each in found if each.step == step), None)
    if checkpoint is None:
        return
    name = recipe.train.hub_model_id or session.run.name
    session.phase("saving", f"uploading to {name}")
    try:
        address = _upload(name, checkpoint, recipe)
    except Exception as error:
        traceback.print_exc()
        # The first line: what the hub says about a refused token fills a screen.
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        told = f"{type(error).__name__}: {first}"
        said = words("run_upload_failed", name=name, error=told, path=str(checkpoint.path))
        session.finding("warning", said, step)
    else:
        session.finding("info", words("run_uploaded", name=name, address=address), step)


def _upload(name: str, checkpoint: Checkpoint, recipe: Recipe) -> str:
    """The address of the repository."""
    from huggingface_hub import HfApi

    token = os.environ.get("HF_TOKEN")
    if not token:
        raise PermissionError("HF_TOKEN is not set")
    api: Any = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token, library_name="trimtab")
    private = recipe.trainer.get("hub_private_repo") is not False
    repository = api.create_repo(name, private=private, exist_ok=True)
    api.upload_folder(
        repo_id=repository.repo_id,
        folder_path=checkpoint.path,
        ignore_patterns=_NOT_UPLOADED,
        commit_message=f"step {checkpoint.step} of run {checkpoint.path.parent.parent.name}",
        revision=recipe.trainer.get("hub_revision"),
    )
    return str(repository)
