"""The reference pages on resources and conditions, made from the models and the words themselves: `make docs`.

What a page says and what the API server enforces cannot differ: both come from `crd_generation.structural_schema`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from keyturn.api.crd_generation import KINDS, VERSION, Schema, as_mapping, as_sequence, structural_schema
from keyturn.api.resource_kind import ResourceKind
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.names import GROUP

_HEADER: Final = "<!-- Made by `make docs` from operator/keyturn/api. Edit the models there, not this page. -->\n"
_DURATION_PATTERN: Final = "(h|m|s)"

EXAMPLE: Final = """\
apiVersion: keyturn.dev/v1alpha1
kind: ApiKey
metadata:
  name: billing
  namespace: shop
spec:
  contact: "#team-shop"
  productRef:
    name: invoices
    namespace: billing-api
  scopes:
    - invoices:read
  rotation:
    schedule: "0 3 1 * *"
    timeZone: Europe/Berlin
    gracePeriod: 24h
  secretTemplate:
    data:
      config.ini: |
        [invoices]
        key = $(API_KEY)
"""


def write_reference(folder: Path) -> list[Path]:
    """Write one page a kind and `conditions.md`; the same models always give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{kind.singular}.md": kind_page(kind) for kind in KINDS} | {"conditions.md": conditions_page()}
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def kind_page(kind: ResourceKind) -> str:
    """The page on a kind: what it is, an example, then a table for each object in it."""
    schema = structural_schema(kind)
    fields = as_mapping(schema["properties"])
    example = f"\n```yaml\n{EXAMPLE}```\n" if kind.kind == "ApiKey" else ""
    head = (
        f"{_HEADER}\n# {kind.kind}\n\n{schema['description']}\n{example}\n"
        f"`{GROUP}/{VERSION}`, {kind.scope.lower()}, short name `{kind.short_name}`."
        f" The same text is in the cluster: `kubectl explain {kind.singular}.spec`.\n\n"
        "A field that is not set inherits: from the plan, the product, the operator's settings, in this order. What is in force stands in"
        " `status.effective`; what holds and what waits, in `status.conditions` ([all reasons](conditions.md)).\n"
        "Durations are written in hours, minutes and seconds (`720h`, `1h30m`), times as in `2027-01-31T18:00:00Z`.\n"
    )
    parts = [part for name in ("spec", "status") if name in fields for part in _sections(as_mapping(fields[name]), path=name)]
    return "\n".join((head, *parts, _columns(kind)))


def conditions_page() -> str:
    """The page on condition types and reasons."""
    types = [f"| `{word}` | {_cell(text)} |" for word, text in documented(ConditionType).items()]
    reasons = [f"| `{word}` | {on} | {_cell(text)} |" for word, (on, text) in documented_reasons().items()]
    return "\n".join((
        f"{_HEADER}\n# Conditions of an ApiKey\n",
        "`kubectl get apikey <name> -o wide` shows the reason and the message of `Ready`; `kubectl describe apikey <name>` shows all.",
        "The message names the thing at hand and says what to do. Alert on `Stalled`, which is only there while a person must act:\n",
        "```console\nkubectl wait apikey/billing --for=condition=Ready\n```\n",
        "## Types\n\n| type | True means |\n|---|---|",
        *types,
        "\n## Reasons\n\nA reason keeps its name and its meaning. New ones may be added.\n\n| reason | on | meaning |\n|---|---|---|",
        *reasons,
        "",
    ))  # fmt: skip


def documented(words: type[StrEnum]) -> dict[str, str]:
    """Every word of an enum with the text that stands under it in the source; LookupError if one has none."""
    body = as_class(inspect.getsource(words)).body
    texts: dict[str, str] = {}
    for line, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            texts[words[line.targets[0].id].value] = _text_of(following)
    silent = [word for word, text in texts.items() if not text]
    if silent:
        raise LookupError(f"{words.__name__}: no line of documentation under {', '.join(silent)}")
    return texts


def _text_of(line: ast.stmt | None) -> str:
    match line:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
        case _:
            return ""


def documented_reasons() -> dict[str, tuple[str, str]]:
    """Every reason with the conditions it appears on, and what it means."""
    pairs = {word: text.partition(": ") for word, text in documented(Reason).items()}
    return {word: (on, text[0].upper() + text[1:]) for word, (on, _, text) in pairs.items()}


def as_class(source: str) -> ast.ClassDef:
    """The one class that a piece of source defines."""
    node = ast.parse(source).body[0]
    if not isinstance(node, ast.ClassDef):
        raise TypeError(f"expected a class, found {type(node).__name__}")
    return node


def _sections(schema: Schema, *, path: str) -> Iterator[str]:
    """A heading, a table and the rules for this object, then the same for every object in it."""
    fields = {name: as_mapping(field) for name, field in as_mapping(schema["properties"]).items()}
    required = as_sequence(schema.get("required", []))
    rows = [
        f"| `{name}` | {_type(field)}{', required' if name in required else ''} | {_description(field)} |" for name, field in fields.items()
    ]
    intro = f"{schema['description']}\n\n" if "description" in schema else ""
    yield f"{'##' if '.' not in path else '###'} {path}\n\n{intro}| field | type | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    rules = list(_rules(schema))
    if rules:
        yield "Rules:\n\n" + "\n".join(rules) + "\n"
    for name, field in fields.items():
        inner, suffix = (as_mapping(field["items"]), "[]") if "items" in field else (field, "")
        if "properties" in inner:
            yield from _sections(inner, path=f"{path}.{name}{suffix}")


def _rules(schema: Schema) -> Iterator[str]:
    for name, field in [("", schema), *((f"`{name}`: ", as_mapping(field)) for name, field in as_mapping(schema["properties"]).items())]:
        if name and "properties" in field:
            continue  # told in that object's own section
        inner = as_mapping(field.get("items", {}))
        for rule in (*as_sequence(field.get("x-kubernetes-validations", [])), *as_sequence(inner.get("x-kubernetes-validations", []))):
            yield f"- {name}{_cell(str(as_mapping(rule)['message']))}"


def _description(field: Schema) -> str:
    default = f" Default: `{field['default']}`." if "default" in field else ""
    return _cell(str(field["description"])) + default


def _type(field: Schema) -> str:
    match field:
        case {"enum": list(words)}:
            return " or ".join(f"`{word}`" for word in words)
        case {"type": "array", "items": dict(items), "maxItems": most}:
            return f"list of {_word(items)}s, at most {most}"
        case {"additionalProperties": dict(texts), "maxProperties": most}:
            return f"map of at most {most} texts of {texts['maxLength']} characters"
        case {"type": "integer"}:
            return "integer" + _range(field)
        case _ if _word(field) == "text":
            return f"text of at most {field['maxLength']} characters"
        case _:
            return _word(field)


def _word(field: Schema) -> str:
    match field:
        case {"format": "date-time"}:
            return "time"
        case {"format": "cidr"}:
            return "network"
        case {"pattern": str(pattern)} if _DURATION_PATTERN in pattern:
            return "duration"
        case {"type": "string"}:
            return "text"
        case _:
            return str(field["type"])


def _range(field: Schema) -> str:
    match field:
        case {"minimum": least, "maximum": most}:
            return f", {least} to {most}"
        case {"minimum": least}:
            return f", at least {least}"
        case _:
            return ""


def _columns(kind: ResourceKind) -> str:
    rows = [f"| {column.name.upper()} | `{column.json_path}` | {'-o wide' if column.wide else ''} |" for column in kind.columns]
    selectors = " and ".join(f"`{path.removeprefix('.')}`" for path in kind.selectable_fields)
    search = f"\n`--field-selector` understands {selectors}, beside `metadata.name` and `metadata.namespace`.\n" if selectors else ""
    return f"## kubectl get {kind.plural}\n\n| column | from | |\n|---|---|---|\n" + "\n".join(rows) + "\n" + search


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
