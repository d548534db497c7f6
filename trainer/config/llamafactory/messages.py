"""What an import or export tells: the English text of each finding by its id. The Chinese ones are in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.config.finding import Finding, Severity

IMPORT_TEXTS: dict[str, str] = {
    "import_became": "{place}: {name} = {value} became {result}",
    "import_renamed": "{place}: {name} is called {key} here",
    "import_defaults": "LLaMA-Factory's defaults are kept where trimtab's differ: {settings}",
    "import_no_training": "{place}: the file does not ask for training (do_train), so do_train = false",
    "import_overwrite": "{place}: overwrite_output_dir is not taken over: a run is never overwritten here; a second "
    "one needs another output_dir or --name",
    "import_gone": "{place}: {name} is not taken over: today's LLaMA-Factory and transformers have no such setting",
    "import_fixed": "{place}: {name} is not taken over: trimtab sets it itself",
    "import_foreign": "{place}: {name} is not taken over: it belongs to {engine}, which trimtab does not work with",
    "import_secret": "{place}: {name} is not written into a preset: set the environment variable {variable} instead",
    "import_inner_secret": "{place}: {inner} of {name} looks like a secret and is not written into a preset: set it in "
    "the environment",
    "import_not_filled": "{place}: {name} holds {value}, which LLaMA-Factory does not fill in either: it is taken as "
    "it stands",
    "import_board_screen": "{place}: {name} is about LLaMA Board's screen and has no meaning here",
    "import_board_unused": "not taken over, because LLaMA Board uses them only where {switch}: {names}",
    "import_board_model": "{place}: LLaMA Board does not save where {name} lies: set model_name_or_path to its folder "
    "or hub name; training_args.yaml beside a run's llamaboard_config.yaml has it",
    "import_board_known_model": "{place}: LLaMA Board does not save where {name} lies: it is taken to be {model} of "
    "the hub; set model_name_or_path if it was another",
    "import_board_code": "LLaMA Board always sets trust_remote_code: it stays off here, because it runs code that "
    "comes with a model",
    "export_cannot_say": "{name} = {value} cannot be said to LLaMA-Factory: it has no such setting",
    "export_cannot_say_choice": "{name} = {value} cannot be said to LLaMA-Factory: it knows {known}",
    "export_cannot_say_default": "{name} = {value} cannot be said to LLaMA-Factory, which always works with {theirs}",
    "export_data_path": "dataset {value} is a file: LLaMA-Factory needs an entry for it in dataset_info.json (`trimtab "
    "data register` writes one)",
    "export_data_hub": "dataset {value} is a hub name: LLaMA-Factory needs an entry for it in dataset_info.json, or "
    "dataset_dir: ONLINE",
    "export_chosen": "chosen on this machine and written as it is: {settings}",
}


def import_finding(rule: str, severity: Severity, /, *fields: str, **values: object) -> Finding:
    """A finding of the import or export with its English text."""
    return Finding(rule, severity, fields, IMPORT_TEXTS[rule].format(**values), dict(values))


def shown(value: object) -> str:
    """A value as the files have it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(shown(item) for item in value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {shown(item)}" for name, item in value.items()) + "}"
    return str(value)
