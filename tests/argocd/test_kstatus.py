"""What kstatus, the library of Flux and others, makes of an ApiKey in every situation: asked, not restated."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from typing import Any

from gen.gitops_situations import PRODUCT_SITUATIONS, REVOCATION_SITUATIONS, SITUATIONS
from testbed.binaries import program


def kstatus(objects: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The library's verdict on each object."""
    asked = "\n".join(json.dumps(each) for each in objects)
    answer = subprocess.run([program("kstatus")], input=asked, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in answer.splitlines()]


def test_flux_sees_every_situation_as_it_is() -> None:
    every = [*SITUATIONS, *PRODUCT_SITUATIONS, *REVOCATION_SITUATIONS]
    verdicts = kstatus(each.manifest() for each in every)
    assert {each.name: said["Status"] for each, said in zip(every, verdicts, strict=True)} == {each.name: each.kstatus for each in every}


def test_flux_passes_on_what_a_person_has_to_do() -> None:
    broken = [each.manifest() for each in SITUATIONS if each.kstatus == "Failed"]
    told = [next(c["message"] for c in each["status"]["conditions"] if c["type"] == "Stalled") for each in broken]
    assert [said["Message"] for said in kstatus(broken)] == told
    assert told
