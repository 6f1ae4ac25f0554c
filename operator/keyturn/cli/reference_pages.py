"""The generated pages of docs/reference, all of them: `python -m keyturn.cli.reference_pages FOLDER`, which `make docs` may run."""

from __future__ import annotations

import sys
from pathlib import Path

from keyturn.api.reference_docs import write_reference
from keyturn.cli.cli_reference import write_cli_reference
from keyturn.cli.http_contract import write_http_contract
from keyturn.cli.http_page import write_http_page
from keyturn.cli.metrics_reference import write_metrics_reference
from keyturn.cli.settings_reference import write_settings_reference


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
