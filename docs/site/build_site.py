"""The documentation as a site: `make docs` builds it into build/site, and only if every link leads somewhere.

The Markdown files are taken as they lie in the checkout, so the links between them and to examples hold on a forge and on the site alike.
Diagrams are drawn here, not in the reader's browser: the site fetches nothing from anywhere. Read on in `site_links.py`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import mmdr

from site_links import problems

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).parent
SITE: Final = ROOT / "build" / "site"
FOLDERS: Final = ("docs", "deploy", "charts", "tests/testbed", "tests/vectors")
SUFFIXES: Final = frozenset({"", ".cfg", ".conf", ".css", ".json", ".lua", ".md", ".png", ".svg", ".tpl", ".yaml", ".yml"})

_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)#]+\.md)(?:#[^)]*)?\)")
_DIAGRAM: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main() -> int:
    """Build it; answers the exit status."""
    (ROOT / "build").mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="site-", dir=ROOT / "build") as scratch:
        project = Path(scratch)
        _lay_out(project)
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(project / "zensical.toml")]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        found = [done.stdout + done.stderr] if done.returncode else problems(project / "site")
        if not found:
            shutil.rmtree(SITE, ignore_errors=True)
            (project / "site").rename(SITE)
    for sentence in found:
        print(sentence, file=sys.stderr)
    if found:
        print("The documentation is not a sound site: mend what is named above", file=sys.stderr)
    return 1 if found else 0


def _lay_out(project: Path) -> None:
    pages = project / "pages"
    for file in _sources():
        target = pages / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            target.write_text(_with_drawn_diagrams(file.read_text(encoding="utf-8"), beside=target), encoding="utf-8")
        else:
            shutil.copy(file, target)
    config = (HERE / "zensical.toml").read_text(encoding="utf-8")
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    (project / "zensical.toml").write_text(config.replace("nav = []", f"nav = {_toml(navigation(index))}"), encoding="utf-8")


def _sources() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    yield ROOT / "LICENSE"
    for folder in FOLDERS:
        yield from (file for file in (ROOT / folder).rglob("*") if file.suffix in SUFFIXES and file.is_file())


def _with_drawn_diagrams(text: str, *, beside: Path) -> str:
    def draw(match: re.Match[str]) -> str:
        picture = beside.with_name(f"{sha256(match[1].encode()).hexdigest()[:12]}.svg")
        picture.write_text(mmdr.render(match[1]).svg(), encoding="utf-8")
        return f"[![diagram]({picture.name}){{ .diagram }}]({picture.name})"  # it is wide: a click shows it alone

    return _DIAGRAM.sub(draw, text)


def navigation(index: str) -> dict[str, dict[str, str]]:
    """The sections of docs/README.md with their pages: title → path from the root."""
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in index.splitlines():
        if heading := re.fullmatch(r"## (.+)|(\w+):", line):
            section = sections.setdefault(heading[1] or heading[2], {})
        elif line.startswith("- "):
            section |= {_title(text): f"docs/{path}" for text, path in _LINK.findall(line)}
    return sections


def _title(text: str) -> str:
    plain = text.replace("`", "")
    return plain[0].upper() + plain[1:]


def _toml(sections: dict[str, dict[str, str]]) -> str:
    pages = {"All pages": "docs/README.md", "Changes": "CHANGELOG.md", "Contributing": "CONTRIBUTING.md", "Security": "SECURITY.md"}
    first = f'{{ "Keyturn" = ["README.md", {_entries(pages)}] }}'
    lines = [f"{{ {json.dumps(name)} = [{_entries(pages)}] }}" for name, pages in sections.items() if pages]
    return "[\n  " + ",\n  ".join([first, *lines]) + ",\n]"


def _entries(pages: dict[str, str]) -> str:
    return ", ".join(f"{{ {json.dumps(title)} = {json.dumps(path)} }}" for title, path in pages.items())


if __name__ == "__main__":
    sys.exit(main())
