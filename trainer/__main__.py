"""The worker processes, `python -m trainer <verb>`: train, chat, data, expand and what looks at a recipe."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path

from trainer.hub_kernels import hide_hub_kernels


def main(argv: list[str] | None = None) -> int:
    """Run one worker; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    train = verbs.add_parser("train", help="train the run in a run directory")
    train.add_argument("run", type=Path)
    train.add_argument("--resume", action="store_true", help="go on from the newest whole checkpoint")
    verbs.add_parser("chat", help="chat and score on request, JSON lines on stdin and stdout")
    verbs.add_parser("data", help="answer requests about data sets, JSON lines on stdin and stdout")
    verbs.add_parser("preflight", help="a recipe as TOML on stdin, its findings as JSON on stdout")
    verbs.add_parser("inspect", help="answer requests for estimates, JSON lines on stdin and stdout")
    verbs.add_parser("estimate", help="a resolved recipe as TOML on stdin, its memory as JSON on stdout")
    lead = verbs.add_parser("pipeline", help="start the parts of a pipeline one after the other")
    lead.add_argument("folder", type=Path)
    verbs.add_parser("expand", help="a model, a new folder and a number as JSON on stdin, the new blocks on stdout")
    arguments = parser.parse_args(argv)
    hide_hub_kernels()
    if arguments.verb == "train":
        from trainer.training import train as run_training

        return run_training(arguments.run, resume=arguments.resume)
    if arguments.verb == "pipeline":
        return _lead(arguments.folder)
    if arguments.verb == "chat":
        from trainer.chat.worker import serve as serve_chat

        return serve_chat()
    if arguments.verb == "data":
        from trainer.data.worker import serve as serve_data

        return serve_data()
    if arguments.verb == "inspect":
        from trainer.inspecting import serve as serve_inspect

        return serve_inspect()
    if arguments.verb == "estimate":
        return _estimate()
    if arguments.verb == "expand":
        return _expand()
    return _preflight()


def _lead(folder: Path) -> int:
    from trainer.errors import UserError
    from trainer.run.leading import lead

    try:
        return lead(folder)
    except UserError as error:
        print(error, flush=True)
        return 1


def _estimate() -> int:
    from trainer.config import Recipe
    from trainer.errors import UserError
    from trainer.estimate import answer, training_devices

    asked = tomllib.loads(sys.stdin.read())
    length = asked.pop("longest_row", None)
    try:
        told = answer(Recipe.model_validate(asked), training_devices(), length=length, download=True)
    except UserError as error:
        json.dump({"error": str(error)}, sys.stdout)
        return 0
    json.dump(told.to_json(), sys.stdout)
    return 0


def _expand() -> int:
    from trainer.data.model_folder import whole_model_folder
    from trainer.errors import UserError
    from trainer.model.expand import expand_model

    asked = json.load(sys.stdin)
    try:
        added = expand_model(whole_model_folder(asked["model"]), Path(asked["out"]).expanduser(), asked["number"])
    except UserError as error:
        json.dump({"error": str(error)}, sys.stdout, ensure_ascii=False)
        return 0
    json.dump({"added_blocks": added}, sys.stdout)
    return 0


def _preflight() -> int:
    from trainer.config import Recipe, check
    from trainer.data import preflight

    recipe = Recipe.model_validate(tomllib.loads(sys.stdin.read()))
    findings = [*check(recipe), *preflight(recipe)]
    json.dump([asdict(finding) for finding in findings], sys.stdout, ensure_ascii=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
