"""Values at and beyond the edges of an OpenAPI schema: for every field the limits, one past them, null, and every wrong type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

Schema = Mapping[str, Any]

WRONG_TYPES: Final = (None, "text", 7, 1.5, True, ["text"], {"unknown": "field"})
DURATION: Final = "^([0-9]{1,5}(h|m|s)){1,3}$"


def valid(schema: Schema, number: int = 0) -> object:
    """The smallest valid value; another `number`, another value."""
    match schema["type"]:
        case "object":
            return {name: valid(schema["properties"][name], number) for name in schema.get("required", ())}
        case "array":
            return [valid(schema["items"], number)]
        case "boolean":
            return bool(number % 2)
        case "integer":
            return max(schema.get("minimum", 0), 0) + number
        case _:
            return _valid_text(schema, number)


def _valid_text(schema: Schema, number: int) -> str:
    if "enum" in schema:
        return cast("str", schema["enum"][number % len(schema["enum"])])
    if schema.get("format") == "date-time":
        return f"2027-01-31T18:00:{number % 60:02}Z"
    if schema.get("format") == "cidr":
        return f"10.0.{number}.0/24"
    if schema.get("pattern") == DURATION:
        return f"{number + 1}h"
    if "sha256" in schema.get("pattern", ""):
        return "$sha256$" + f"{number}".rjust(42, "d") + "A"
    if schema.get("pattern", "").startswith("^https"):
        return f"https://a{number}"
    return f"a{number}".rjust(schema.get("minLength", 0), "a")


def edges(schema: Schema) -> Iterator[object]:
    """Every value worth trying in the place of this schema, valid or not, with all that lies below it."""
    yield valid(schema)
    yield from WRONG_TYPES
    match schema["type"]:
        case "object" if "additionalProperties" in schema:
            yield from _edges_of_a_map(schema)
        case "object":
            yield from _edges_of_an_object(schema)
        case "array":
            yield from _edges_of_a_list(schema)
        case "integer":
            yield from _edges_of_an_integer(schema)
        case "boolean":
            yield from ("true", 0, 1)
        case _:
            yield from _edges_of_a_text(schema)


def _edges_of_an_object(schema: Schema) -> Iterator[object]:
    base = cast("dict[str, object]", valid(schema))
    yield {**base, "unknown": {"field": True}}
    for name in base:
        yield {other: value for other, value in base.items() if other != name}
    for name, field in schema["properties"].items():
        for value in edges(field):
            yield {**base, name: value}


def _edges_of_a_map(schema: Schema) -> Iterator[object]:
    item, most = schema["additionalProperties"], schema["maxProperties"]
    for size in (most, most + 1):
        yield {f"key-{number}": valid(item, number) for number in range(size)}
    for value in edges(item):
        yield {"key": value}


def _edges_of_a_list(schema: Schema) -> Iterator[object]:
    item, most = schema["items"], schema["maxItems"]
    for size in (0, most, most + 1):
        yield [valid(item, number) for number in range(size)]
    yield [valid(item), valid(item)]
    yield [valid(item), valid(item, 1), valid(item)]
    for value in edges(item):
        yield [value]


def _edges_of_an_integer(schema: Schema) -> Iterator[object]:
    limits = {-(2**63), -(2**31), 0, 2**31 - 1, 2**63 - 1, schema.get("minimum", 0), schema.get("maximum", 0)}
    for limit in limits:
        yield from (near for near in (limit - 1, limit, limit + 1) if -(2**63) <= near < 2**63)
    yield from (1.0, 2.0, 1e3, -1.0, "1")


def _edges_of_a_text(schema: Schema) -> Iterator[object]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 0)
    for size in {least - 1, least, most, most + 1} - {-1}:
        yield "a" * size
        yield "𐍈" * size  # one character, four bytes, two UTF-16 units
    for word in schema.get("enum", ()):
        yield from (word, word.lower(), f" {word}", f"{word}\n")
    sample = _valid_text(schema, 0)
    yield from (
        f"{sample} ",
        f"{sample}\n",
        f"\n{sample}",
        f"{sample}.",
        f".{sample}",
        f"-{sample}",
        sample.upper(),
        f"{sample}\x00",
        "ÄÖÜ",
        "a..b",
    )
