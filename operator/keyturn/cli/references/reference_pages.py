"""The generated pages of docs/reference, all of them: `python -m keyturn.cli.references.reference_pages FOLDER`, for `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from keyturn.api.reference_docs import write_reference
from keyturn.cli.references.cli_reference import write_cli_reference
from keyturn.cli.references.http_contract import write_http_contract
from keyturn.cli.references.http_page import write_http_page
from keyturn.cli.references.metrics_reference import write_metrics_reference
from keyturn.cli.references.settings_reference import write_settings_reference


def write_reference_pages(folder: Path) -> list[Path]:
    """Write every page: resources, conditions, the command line, settings, metrics, the verifier over HTTP. Answers their paths."""
    return [
        *write_reference(folder),
        write_cli_reference(folder),
        *write_settings_reference(folder),
        write_metrics_reference(folder),
        write_http_contract(folder),
        write_http_page(folder),
    ]


if __name__ == "__main__":
    write_reference_pages(Path(sys.argv[1]))
