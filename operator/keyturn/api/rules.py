"""Rules about resources, each said once: the CEL text that the API server runs beside the Python that this package runs.

`crd_generation.py` writes the first into the CRD, the models run the second; `tests/cluster/test_crd_differential.py`
holds the two against each other on a real API server.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")

# The generic dataclasses here have no slots: with them `Rule[Model](...)` fails under Python 3.11 (it sets __orig_class__).

_INITIALISMS = {"id": "ID", "ids": "IDs", "cidrs": "CIDRs", "api": "API", "url": "URL"}


@dataclass(frozen=True)
class Rule(Generic[T]):
    """What one object must be. `cel` and `check` say the same; `field_path` is relative, as in `.schedule`."""

    cel: str
    message: str
    check: Callable[[T], bool]
    field_path: str = ""


@dataclass(frozen=True)
class TransitionRule(Generic[T]):
    """How an object may change: `check(old, new)`. The API server runs it on updates only."""

    cel: str
    message: str
    check: Callable[[T, T], bool]
    field_path: str = ""


# Any: a class body cannot name the type of a table that each subclass fills with rules about itself.
AnyRule = Rule[Any] | TransitionRule[Any]


def to_wire_name(attribute: str) -> str:
    """Turn `key_id` into `keyID`: camelCase, initialisms in capitals, as in the Kubernetes API conventions."""
    first, *rest = attribute.split("_")
    return first + "".join(_INITIALISMS.get(part, part.capitalize()) for part in rest)


class ApiModel(BaseModel):
    """Base of everything in a resource. Unknown fields are dropped, as the API server does; null counts as absent."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_wire_name,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    RULES: ClassVar[tuple[Rule[Any], ...]] = ()
    TRANSITION_RULES: ClassVar[tuple[TransitionRule[Any], ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: object) -> object:
        if isinstance(value, dict) and None in value.values():
            return {field: entry for field, entry in value.items() if entry is not None}
        return value

    @model_validator(mode="after")
    def _obeys_its_rules(self) -> Self:
        for rule in self.RULES:
            if not rule.check(self):
                raise _broken(rule)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        """Put the rules' CEL beside the properties."""
        reference = handler(schema)
        _add_rules(handler.resolve_ref_schema(reference), (*cls.RULES, *cls.TRANSITION_RULES))
        return reference


@dataclass(frozen=True)
class Obeys(Generic[T]):
    """Annotation for a field that is no model (a map, a string) and has rules nevertheless."""

    rules: tuple[Rule[T], ...]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Run the checks after the field's own validation."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Put the rules' CEL into the field's schema."""
        return _add_rules(handler(schema), self.rules)

    def _check(self, value: T) -> T:
        for rule in self.rules:
            if not rule.check(value):
                raise _broken(rule)
        return value


@dataclass(frozen=True, slots=True)
class ListOf:
    """Annotation for a list with a Kubernetes list type: no keys make a set, keys make a map of objects.

    `keys` are attribute names; equal items (sets) or items with equal keys (maps) are refused, as by the API server.
    """

    keys: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse duplicates after the items were validated."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Declare the list type, by which server-side apply merges."""
        result = handler(schema)
        result["x-kubernetes-list-type"] = "map" if self.keys else "set"
        if self.keys:
            result["x-kubernetes-list-map-keys"] = [to_wire_name(key) for key in self.keys]
        return result

    def _check(self, items: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
        identities = [tuple(getattr(item, key) for key in self.keys) if self.keys else item for item in items]
        if len(set(identities)) != len(identities):
            what = f"the same {' and '.join(to_wire_name(key) for key in self.keys)}" if self.keys else "the same value"
            raise PydanticCustomError("duplicate", "{what} stands here twice; keep one", {"what": what})
        return items


def broken_transitions(rules: Iterable[TransitionRule[T]], old: T, new: T, *, path: str) -> list[str]:
    """Say which rules a change from old to new would break: sentences that begin with the field, as the API server's do."""
    return [f"{path}{rule.field_path}: {rule.message}" for rule in rules if not rule.check(old, new)]


def explain_invalid(error: ValidationError) -> list[str]:
    """Turn a failed validation into one line a mistake: `spec.rotation.interval: <what is wrong>`, values left out."""
    return [
        f"{_path(entry['loc'])}: {_PLAIN_WORDS.get(entry['type'], entry['msg'])}"
        for entry in error.errors(include_url=False, include_input=False)
    ]


_PLAIN_WORDS: Final = {
    "missing": "is missing and must be given",
    "extra_forbidden": "is not known here: remove it",
    "string_type": "must be a text; put a number or true/false in quotes",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
    "tuple_type": "must be a list",
    "dict_type": "must be an object: names with texts",
    "model_type": "must be an object",
}
"""pydantic speaks of Python's types; users write YAML."""


def _path(location: Iterable[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _broken(rule: Rule[Any]) -> PydanticCustomError:
    return PydanticCustomError("rule", "{message}", {"message": rule.message})


def _add_rules(schema: JsonSchemaValue, rules: Iterable[AnyRule]) -> JsonSchemaValue:
    validations = [_validation(rule) for rule in rules]
    if validations:
        schema["x-kubernetes-validations"] = validations
    return schema


def _validation(rule: AnyRule) -> Mapping[str, str]:
    place = {"fieldPath": rule.field_path} if rule.field_path else {}
    return {"rule": rule.cel, "message": rule.message, **place}
