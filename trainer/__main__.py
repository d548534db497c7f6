"""The worker processes: `python -m trainer train RUN [--resume]`, `chat`, `preflight`. Not the user's command line."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Run one worker; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    train = verbs.add_parser("train", help="train the run in a run directory")
    train.add_argument("run", type=Path)
    train.add_argument("--resume", action="store_true", help="go on from the newest whole checkpoint")
    verbs.add_parser("chat", help="answer chat requests, JSON lines on stdin and stdout")
    verbs.add_parser("preflight", help="a recipe as TOML on stdin, its findings as JSON on stdout")
    arguments = parser.parse_args(argv)
    if arguments.verb == "train":
        from trainer.training import train as run_training

        return run_training(arguments.run, resume=arguments.resume)
    if arguments.verb == "chat":
        from trainer.chat.worker import serve

        return serve()
    return _preflight()


def _preflight() -> int:
    from trainer.config import Recipe, check
    from trainer.data import preflight

    recipe = Recipe.model_validate(tomllib.loads(sys.stdin.read()))
    findings = [*check(recipe), *preflight(recipe)]
    json.dump([asdict(finding) for finding in findings], sys.stdout, ensure_ascii=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
