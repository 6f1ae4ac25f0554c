"""`keyturn operator`: options made from the Settings model, then `controller/run.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from keyturn.base.settings import Settings
from keyturn.cli.command import Command, Example

_METAVARS: Final = {"string": "TEXT", "integer": "INTEGER", "number": "NUMBER", "go-duration": "DURATION"}


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


def setting_options() -> Iterator[SettingOption]:
    """Every setting, in the model's order."""
    schema = Settings.model_json_schema()
    defaults = Settings.model_validate({}).model_dump(mode="json")
    for name, field in Settings.model_fields.items():
        kind = schema["properties"][name]
        yield SettingOption(
            field=name,
            option="--" + name.replace("_", "-"),
            variable=f"KEYTURN_{name.upper()}",
            metavar=_METAVARS.get(kind.get("format") or kind.get("type", "string"), "TEXT"),
            choices=_choices(field),
            default=str(defaults[name]),
            description=field.description or "",
        )


def read_settings(values: dict[str, str]) -> Settings:
    """The settings from texts; raises UsageError that names each option that is wrong, and its variable."""
    try:
        return Settings.model_validate(values)
    except ValidationError as invalid:
        known = {option.field: option for option in setting_options()}
        mistakes = []
        for entry in invalid.errors(include_url=False, include_input=False):
            option = known[str(entry["loc"][0])]
            mistakes.append(f"{option.option} ({option.variable}): {entry['msg'].removeprefix('Value error, ')}")
        raise click.UsageError("\n".join(mistakes)) from None


def _run_operator(**values: str) -> int:
    """Run the operator in this process until it is told to stop (SIGTERM, SIGINT).

    Every option can be given as an environment variable. Durations are Go's: 2160h, 1h30m, 500ms. It finds the cluster as kubectl
    does: KUBECONFIG, the pod's own account, ~/.kube/config.
    """
    settings = read_settings(values)
    from keyturn.controller.run import run

    return asyncio.run(run(settings))


def _choices(field: FieldInfo) -> tuple[str, ...]:
    kind = field.annotation
    return tuple(str(item.value) for item in kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()


def _as_click(option: SettingOption) -> click.Option:
    return click.Option(
        [option.option, option.field],
        default=option.default,
        show_default=bool(option.default),
        envvar=option.variable,
        show_envvar=True,
        metavar=None if option.choices else option.metavar,
        type=click.Choice(option.choices) if option.choices else click.STRING,
        help=option.description + ".",
    )


operator: Final = Command(
    "operator",
    callback=_run_operator,
    help=_run_operator.__doc__,
    params=[_as_click(option) for option in setting_options()],
    examples=[
        Example("Against the current kubeconfig, one namespace only", "keyturn operator --watch-namespaces team-a"),
        Example("As a Deployment does it", "KEYTURN_LOG_FORMAT=json keyturn operator"),
    ],
)
