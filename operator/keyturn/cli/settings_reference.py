"""docs/reference/settings.md, made from the Settings model. Pure but for the file it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from keyturn.cli.operator_command import SettingOption, setting_options

_HEAD: Final = """\
<!-- Made by `make docs` from operator/keyturn/base/settings.py. Edit the settings there, not this page. -->
# Settings of the operator

What `keyturn operator` takes, each as an option or an environment variable; the option wins. Durations are Go's: `2160h`, `1h30m`, `500ms`.
A value that cannot be used ends the operator at its start with exit code 2 and names the option.

| option | variable | default | meaning |
|---|---|---|---|
"""


def write_settings_reference(folder: Path) -> Path:
    """Write settings.md into the folder; the same model always gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "settings.md"
    page.write_text(settings_reference(), encoding="utf-8")
    return page


def settings_reference() -> str:
    """The page."""
    return _HEAD + "".join(map(_line, setting_options()))


def _line(option: SettingOption) -> str:
    default = f"`{option.default}`" if option.default else "empty"
    return f"| `{option.option}` | `{option.variable}` | {default} | {option.description.replace('|', chr(92) + '|')} |\n"
