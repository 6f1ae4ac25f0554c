"""Options of a long-running process, made from its settings model: the command line, the environment and the docs say the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

import click
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

_METAVARS: Final = {"string": "TEXT", "integer": "INTEGER", "number": "NUMBER", "go-duration": "DURATION"}

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SettingOption:
    """One setting, as a command line, a pod's environment and the documentation speak of it."""

    field: str
    option: str
    variable: str
    metavar: str
    choices: tuple[str, ...]
    default: str
    description: str
    knows_empty: bool
    """Whether an empty text says something, as in "empty: nowhere"."""


def setting_options(model: type[BaseModel]) -> Iterator[SettingOption]:
    """Every setting, in the model's order."""
    schema = model.model_json_schema()
    defaults = model.model_validate({}).model_dump(mode="json")
    for name, field in model.model_fields.items():
        kind = schema["properties"][name]
        yield SettingOption(
            field=name,
            option="--" + name.replace("_", "-"),
            variable=f"KEYTURN_{name.upper()}",
            metavar=_METAVARS.get(kind.get("format") or kind.get("type", "string"), "TEXT"),
            choices=_choices(field),
            default=str(defaults[name]),
            description=field.description or "",
            knows_empty=_takes(model, name, ""),
        )


def read_settings(model: type[Model], values: dict[str, str]) -> Model:
    """The settings from texts; raises UsageError that names each option that is wrong, and its variable."""
    try:
        return model.model_validate(values)
    except ValidationError as invalid:
        known = {option.field: option for option in setting_options(model)}
        mistakes = []
        for entry in invalid.errors(include_url=False, include_input=False):
            option = known[str(entry["loc"][0])]
            mistakes.append(f"{option.option} ({option.variable}): {entry['msg'].removeprefix('Value error, ')}")
        raise click.UsageError("\n".join(mistakes)) from None


def click_options(model: type[BaseModel]) -> list[click.Parameter]:
    """The same for click, texts all of them."""
    return [_SettingOption(option) for option in setting_options(model)]


def _takes(model: type[BaseModel], field: str, value: str) -> bool:
    try:
        model.model_validate({field: value})
    except ValidationError:
        return False
    return True


def _choices(field: FieldInfo) -> tuple[str, ...]:
    kind = field.annotation
    return tuple(str(item.value) for item in kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()


class _SettingOption(click.Option):
    """For click an empty variable is none, and the default counts: KEYTURN_CLIENT_ADDRESS_HEADER= would go on trusting a header."""

    def __init__(self, option: SettingOption) -> None:
        self._knows_empty = option.knows_empty
        super().__init__(
            [option.option, option.field],
            default=option.default,
            show_default=bool(option.default),
            envvar=option.variable,
            show_envvar=True,
            metavar=None if option.choices else option.metavar,
            type=click.Choice(option.choices) if option.choices else click.STRING,
            help=option.description + ".",
        )

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """What the variable says; None: the default counts."""
        said = super().resolve_envvar_value(ctx)
        if said is None and self._knows_empty and isinstance(self.envvar, str):
            return os.environ.get(self.envvar)
        return said
