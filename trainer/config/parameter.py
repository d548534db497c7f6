"""The list of all parameters, read off the tables: forms, command line and reference page are made from it."""

from __future__ import annotations

import ast
import difflib
import inspect
import types
import typing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from trainer.config.form import Condition, Form
from trainer.config.recipe import Recipe
from trainer.config.tables.base import Table
from trainer.errors import UserError

Kind = Literal["bool", "int", "float", "text", "choice", "list", "any"]

# For `key=value` without a table, where two tables have the name: the one that people mean.
_FIRST_TABLES = {"additional_target": "lora", "create_new_adapter": "lora", "seed": "train"}
# A condition with more values than this is told by its exceptions, if these are fewer.
_MANY = 3
_WORDS: dict[str, str] = {"bool": "true or false", "int": "a whole number", "float": "a number", "text": "text"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a recipe."""

    table: str
    name: str
    key: str
    """`table.name`."""
    kind: Kind
    type_text: str
    """What is expected, in words: "a whole number from 1 to 4096"."""
    default: object
    optional: bool
    """May be unset (None, or the empty list)."""
    choices: tuple[str, ...]
    minimum: float | None
    """Smallest value; of an open interval its end, see `type_text`."""
    maximum: float | None
    help: str
    form: Form

    @property
    def item_type(self) -> str:
        """What a list holds ("text" or "number"), for reading it from a text box; empty for other kinds."""
        return ("number" if "numbers" in self.type_text else "text") if self.kind == "list" else ""


@cache
def parameters() -> tuple[Parameter, ...]:
    """All parameters, in the order of the tables."""
    found: list[Parameter] = []
    for table, model in tables().items():
        texts = _docstrings(model)
        found += [_parameter(table, model, name, field, texts[name]) for name, field in model.model_fields.items()]
    return tuple(found)


@cache
def tables() -> dict[str, type[Table]]:
    """The model of each TOML table; `[trainer]`, which passes names through, is not among them."""
    fields = {name: field.annotation for name, field in Recipe.model_fields.items()}
    return {name: kind for name, kind in fields.items() if isinstance(kind, type) and issubclass(kind, Table)}


@cache
def _by_key() -> dict[str, Parameter]:
    return {each.key: each for each in parameters()}


@cache
def _by_name() -> dict[str, tuple[Parameter, ...]]:
    names: dict[str, tuple[Parameter, ...]] = {}
    for each in parameters():
        names[each.name] = (*names.get(each.name, ()), each)
    return names


def find_parameter(name: str) -> Parameter | None:
    """The parameter of a flat or dotted name; None when there is none."""
    if "." in name:
        return _by_key().get(name)
    candidates = _by_name().get(name, ())
    if len(candidates) > 1:
        return _by_key()[f"{_FIRST_TABLES[name]}.{name}"]
    return candidates[0] if candidates else None


def parameter(name: str) -> Parameter:
    """The parameter of a flat (`lora_rank`) or dotted (`lora.lora_rank`) name.

    Raises:
        UserError: there is none; names a near one.
    """
    found = find_parameter(name)
    if found is None:
        raise UserError("there is no such parameter", field=name, hint=near_hint(name))
    return found


def near_hint(name: str, table: str | None = None) -> str | None:
    """ "Did you mean ...?" for a misspelled parameter, first among those of its table."""
    short = name.rpartition(".")[2]
    if table is not None:
        near = difflib.get_close_matches(short, [each.name for each in parameters() if each.table == table], n=1)
        if near:
            return f"Did you mean {near[0]!r}?"
    if elsewhere := _by_name().get(short):
        return f"It belongs in [{elsewhere[0].table}]."
    near = difflib.get_close_matches(short, list(_by_name()), n=1)
    if not near:
        return "`trimtab params` lists all."
    return f"Did you mean {near[0]!r} of [{_by_name()[near[0]][0].table}]?"


def applies(parameter: Parameter, recipe: Recipe) -> bool:
    """Whether the parameter means anything with the other values of the recipe."""
    return all(recipe.value(condition.key) in condition.values for condition in parameter.form.when)


def exceptions(condition: Condition) -> tuple[str, ...]:
    """The choices under which a condition does not hold, where naming these is shorter; else none."""
    kept = {str(value) for value in condition.values}
    others = tuple(choice for choice in _by_key()[condition.key].choices if choice not in kept)
    return others if len(kept) > _MANY and len(others) < len(kept) else ()


def _parameter(table: str, model: type[Table], name: str, field: FieldInfo, text: str) -> Parameter:
    annotation, optional = _without_none(field.annotation)
    kind, choices = _kind(annotation)
    low, high = _limits(field.metadata)
    default = field.get_default(call_default_factory=True)
    return Parameter(
        table=table,
        name=name,
        key=f"{table}.{name}",
        kind=kind,
        type_text=_type_text(kind, annotation, choices, field.metadata),
        default=default,
        optional=optional or default == [],
        choices=choices,
        minimum=low,
        maximum=high,
        help=text,
        form=_form(model, field.metadata),
    )


def _form(model: type[Table], metadata: list[Any]) -> Form:
    own = next((each for each in metadata if isinstance(each, Form)), Form())
    # A field may narrow the condition of its table.
    conditions = {condition.key: condition for condition in (*model.applies_when, *own.when)}
    return replace(
        own,
        when=tuple(conditions.values()),
        available=model.available and own.available,
        refused=model.refused or own.refused,
    )


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    kept = [each for each in get_args(annotation) if each is not type(None)]
    optional = len(kept) < len(get_args(annotation))
    if len(kept) > 1:
        return annotation, optional
    inner = kept[0]
    # `JsonTable | None`: what stands in the union may itself be annotated.
    return (get_args(inner)[0] if get_origin(inner) is typing.Annotated else inner), optional


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(annotation) is Literal:
        # Booleans as TOML writes them.
        values = get_args(annotation)
        return "choice", tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in values)
    if get_origin(annotation) is list:
        return "list", ()
    simple: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}
    return simple.get(annotation, "any"), ()


def _limits(metadata: list[Any]) -> tuple[float | None, float | None]:
    low: float | None = None
    high: float | None = None
    for each in metadata:
        if isinstance(each, annotated_types.Ge | annotated_types.Gt):
            low = each.ge if isinstance(each, annotated_types.Ge) else each.gt  # type: ignore[assignment]
        if isinstance(each, annotated_types.Le | annotated_types.Lt):
            high = each.le if isinstance(each, annotated_types.Le) else each.lt  # type: ignore[assignment]
    return low, high


def _type_text(kind: Kind, annotation: Any, choices: tuple[str, ...], metadata: list[Any]) -> str:
    if kind == "choice":
        return f"one of {', '.join(choices)}"
    if kind == "list":
        return "a list of numbers" if get_args(annotation)[0] is float else "a list of texts"
    if kind == "any":
        return "text or an inline table" if str in get_args(annotation) else "an inline table"
    bounds: list[str] = []
    for each in metadata:
        match each:
            case annotated_types.Ge(ge=bound):
                bounds.append(f"from {bound}")
            case annotated_types.Gt(gt=bound):
                bounds.append(f"above {bound}")
            case annotated_types.Le(le=bound):
                bounds.append(f"to {bound}")
            case annotated_types.Lt(lt=bound):
                bounds.append(f"below {bound}")
    return " ".join([_WORDS[kind], *bounds])


@cache
def _file_docstrings(file: Path) -> dict[str, dict[str, str]]:
    """The text under each field of each class of a source file.

    pydantic's `use_attribute_docstrings` gives the same, but tokenizes the file once per class at import, which
    costs every start of every command a tenth of a second.
    """
    classes = [node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    found: dict[str, dict[str, str]] = {}
    for node in classes:
        texts: dict[str, str] = {}
        for field, below in zip(node.body, node.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(below):
                texts[field.target.id] = " ".join(ast.literal_eval(below.value).split())
        found[node.name] = texts
    return found


def _is_text(node: ast.stmt) -> typing.TypeGuard[ast.Expr]:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _docstrings(model: type[Table]) -> dict[str, str]:
    return _file_docstrings(Path(inspect.getfile(model)))[model.__name__]
