"""docs/reference/settings.md and verifier-settings.md, made from the settings models. Pure but for the files they write."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel

from keyturn.base.settings import Settings
from keyturn.cli.setting_options import SettingOption, setting_options
from keyturn.verifier.service.settings import VerifierSettings

_HEAD: Final = """\
<!-- Made by `make docs` from operator/keyturn/{source}. Edit the settings there, not this page. -->
# Settings of the {process}

What `keyturn {process}` takes, each as an option or an environment variable; the option wins. Durations are Go's: `2160h`, `1h30m`,
`500ms`. A value that cannot be one ends the {process} at its start with exit code 2 and names the option; a file that is not there, or an
address that is taken, with exit code 1 and a sentence in the log.

| option | variable | default | meaning |
|---|---|---|---|
"""


def write_settings_reference(folder: Path) -> list[Path]:
    """Write both pages into the folder; the same models always give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    operators, verifiers = folder / "settings.md", folder / "verifier-settings.md"
    operators.write_text(settings_reference(Settings, process="operator", source="base/settings.py"), encoding="utf-8")
    verifiers.write_text(settings_reference(VerifierSettings, process="verifier", source="verifier/service/settings.py"), encoding="utf-8")
    return [operators, verifiers]


def settings_reference(model: type[BaseModel], *, process: str, source: str) -> str:
    """One page."""
    return _HEAD.format(process=process, source=source) + "".join(map(_line, setting_options(model)))


def _line(option: SettingOption) -> str:
    default = f"`{option.default}`" if option.default else "empty"
    return f"| `{option.option}` | `{option.variable}` | {default} | {option.description.replace('|', chr(92) + '|')} |\n"
