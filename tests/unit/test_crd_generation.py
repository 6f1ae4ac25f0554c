"""The generated CRDs and pages: up to date, structural, and with something to say about every field."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
import yaml
from pydantic import Field

from keyturn.api.crd_generation import KINDS, crd, generate_crds, structural_schema
from keyturn.api.reference_docs import EXAMPLE, documented, documented_reasons, write_reference
from keyturn.api.resource_kind import ResourceKind
from keyturn.api.rules import ApiModel
from keyturn.api.v1alpha1.apikey import APIKEY, ApiKey
from keyturn.api.v1alpha1.conditions import ConditionType, Reason

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


def fields(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Every property anywhere below, with its path."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
    for child in ("items", "additionalProperties"):
        if child in schema:
            yield from fields(schema[child], f"{path}[]")


def schema_of(kind: ResourceKind) -> Json:
    return cast("Json", structural_schema(kind))


def test_generated_files_are_up_to_date(tmp_path: Path) -> None:
    for file in [*generate_crds(tmp_path / "crds"), *write_reference(tmp_path / "docs" / "reference")]:
        assert (ROOT / file.relative_to(tmp_path)).read_text(encoding="utf-8") == file.read_text(encoding="utf-8"), "run: make crds docs"


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    once, again = generate_crds(tmp_path / "once"), generate_crds(tmp_path / "again")
    assert [file.read_bytes() for file in once] == [file.read_bytes() for file in again]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_kubectl_explain_has_a_sentence_for_every_field(kind: ResourceKind) -> None:
    silent = [path for path, field in fields(schema_of(kind), kind.singular) if len(field.get("description", "")) < 10]
    assert silent == [f"{kind.singular}.metadata", f"{kind.singular}.metadata.name"], "metadata is explained by Kubernetes"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_explanations_are_sentences(kind: ResourceKind) -> None:
    texts = {path: field["description"] for path, field in fields(schema_of(kind), kind.singular) if "description" in field}
    assert [path for path, text in texts.items() if not text.endswith(".") or "  " in text or "\n" in text] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_size_is_bounded(kind: ResourceKind) -> None:
    """Without bounds the API server cannot price the rules, and refuses the CRD."""
    unbounded = []
    for path, field in fields(schema_of(kind), kind.singular):
        bounded = {"array": "maxItems" in field, "string": bool(field.keys() & {"maxLength", "enum", "format"})}
        if not bounded.get(field["type"], True) and path.count(".") > 1:
            unbounded.append(path)
    assert unbounded == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_list_says_how_it_is_merged(kind: ResourceKind) -> None:
    lists = [(path, field) for path, field in fields(schema_of(kind), kind.singular) if field["type"] == "array"]
    assert [path for path, field in lists if "x-kubernetes-list-type" not in field] == []


def test_crd_is_kept_when_the_chart_is_uninstalled_and_says_its_version() -> None:
    metadata = cast("Json", crd(APIKEY))["metadata"]
    assert metadata["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert metadata["labels"] == {"app.kubernetes.io/part-of": "keyturn", "app.kubernetes.io/version": version("keyturn")}


def test_what_kubernetes_cannot_say_is_refused_with_its_place() -> None:
    class Spec(ApiModel):
        step: Annotated[int, Field(multiple_of=5)] = 5

    class Odd(ApiModel):
        metadata: Annotated[Spec, Field()]
        spec: Spec

    with pytest.raises(TypeError, match=r"Odd\.metadata\.step: a structural schema has no \['multipleOf'\]"):
        structural_schema(ResourceKind(model=Odd, kind="Odd", plural="odds", short_name="o", scope="Namespaced"))


def test_every_word_of_conditions_is_documented() -> None:
    assert list(documented(ConditionType)) == [word.value for word in ConditionType]
    assert list(documented_reasons()) == [word.value for word in Reason]


def test_every_reason_names_the_conditions_it_appears_on() -> None:
    known = {word.value for word in ConditionType} | {"any", "Event"}
    assert {word: on for word, (on, text) in documented_reasons().items() if not text or not set(on.split(", ")) <= known} == {}


def test_the_example_on_the_page_is_valid() -> None:
    example = ApiKey.model_validate(yaml.safe_load(EXAMPLE))
    assert str(example.key) == "shop/billing"
