"""The applications of docs/how-to/protect-a-python-app.md as files, beside a folder that a verifier keeps.

with PageApps(folder):
    import_module("flask_app").app
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from gen import verifying
from gen.app_folder import VerifierBeside
from keyturn.keys.record import Limits

HOW_TO: Final = Path(__file__).parents[2] / "docs" / "how-to"
PAGES: Final = ("protect-a-python-app.md", "accept-json-web-tokens.md")
BLOCK: Final = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FOLDER: Final = "/run/keyturn"
WRITER: Final = verifying.token_of("writer")
LIMITED: Final = verifying.token_of("limited")


def blocks() -> dict[str, str]:
    """Every block of Python on these pages, by the file that its first line names."""
    return {name: source for page in PAGES for name, source in BLOCK.findall((HOW_TO / page).read_text())}


class PageApps:
    """The page's blocks as files beside a folder that a verifier keeps. Frameworks need modules, so there is one set for all tests."""

    def __init__(self, root: Path) -> None:
        folder = root / "keyturn"
        folder.mkdir()
        self.beside = VerifierBeside(folder, now=datetime.now(UTC))
        self.beside.list(
            verifying.record(),
            verifying.record(name="writer", token=WRITER, scopes=("orders:read", "orders:write")),
            verifying.record(name="limited", token=LIMITED, limits=Limits(1, 1)),
        )
        for name, source in blocks().items():
            file = root / "apps" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source.replace(FOLDER, str(folder)))
        self._apps = str(root / "apps")
        (root / "apps" / "shop" / "settings.py").write_text(
            "SECRET_KEY = 'x'\nALLOWED_HOSTS = ['orders.shop']\nROOT_URLCONF = 'shop.urls'\nLOGGING_CONFIG = None\n"
        )

    def __enter__(self) -> Self:
        sys.path.insert(0, self._apps)
        return self

    def __exit__(self, *_: object) -> None:
        sys.path.remove(self._apps)
        for name in blocks():  # the next one has a folder of its own
            sys.modules.pop(name.removesuffix(".py"), None)
