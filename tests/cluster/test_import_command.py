"""`keyturn import`: keys of another system open the API after one command, and a second run changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from secrets import token_hex

import pytest
import yaml

from gen.person import BIN, Answer, Person
from gen.team import Team
from keyturn.keys.digest import derived_key_id, digest_token
from keyturn.keys.mint import mint


@pytest.fixture
def key() -> str:
    """Of another system; for each test its own, since a key belongs to one ApiKey of all that an operator serves."""
    return f"sk_live_{token_hex(20)}"


@pytest.fixture
def person(team: Team) -> Person:
    return Person(team.cluster, team.namespace, team.cluster.kubeconfig)


def written(folder: Path, *lines: str) -> str:
    file = folder / "keys.csv"
    file.write_text("".join(f"{line}\n" for line in lines))
    return str(file)


def told(answer: Answer) -> list[tuple[str, str]]:
    """Name and result of each row."""
    return [(cells[2], cells[4]) for cells in (line.split("\t") for line in answer.out.splitlines())]


def test_a_file_becomes_apikeys_and_a_second_run_changes_nothing(team: Team, person: Person, tmp_path: Path, key: str) -> None:
    minted = mint("acme")
    file = written(tmp_path, "name,key", f"foreign,{key}", f"own,{minted.plaintext.reveal()}", "weak,letmein")
    dry = person.runs("import", file, "--dry-run")
    assert (dry.code, told(dry)) == (1, [("foreign", "created"), ("own", "created"), ("weak", "refused")])
    assert team.api.get(team.apikey_path("foreign")) is None
    first = person.runs("import", file)
    assert (first.code, told(first), first.err) == (1, told(dry), "2 created, 1 refused\n")
    assert team.wait_ready("foreign")["keyID"] == derived_key_id(digest_token(key))
    assert team.wait_ready("own")["keyID"] == minted.key_id
    before = team.marks("foreign")
    again = person.runs("import", file)
    assert told(again) == [("foreign", "unchanged"), ("own", "unchanged"), ("weak", "refused")]
    assert team.marks("foreign") == before
    for text in (dry, first, again):
        assert key not in text.out + text.err
        assert "letmein" not in text.out + text.err


def test_what_else_is_there_is_left_alone_and_said(team: Team, person: Person, tmp_path: Path, key: str) -> None:
    team.apply_apikey("taken")
    person.runs("import", written(tmp_path, "name,key", f"acme,{key}"))
    answer = person.runs("import", written(tmp_path, "name,key", f"taken,{key}", f"acme,{key}x"), "-o", "json")
    report = json.loads(answer.out)
    assert (answer.code, [row["result"] for row in report["rows"]]) == (1, ["failed", "failed"])
    assert ["of delivery Secret" in report["rows"][0]["reason"], "another key" in report["rows"][1]["reason"]] == [True, True]
    assert "digests" not in team.apikey("taken")["spec"]


def test_manifests_for_git_are_what_an_import_makes(team: Team, person: Person, tmp_path: Path, key: str) -> None:
    file = written(tmp_path, "name,digest", f"acme,{digest_token(key)}")
    refused = person.runs("import", file, "-o", "yaml")
    assert (refused.code, refused.out, "--at-least-bits" in refused.err) == (1, "", True)
    manifests = person.runs("import", file, "-o", "yaml", "--at-least-bits", "128")
    (manifest,) = yaml.safe_load_all(manifests.out)
    team.cluster.kubectl("apply", "-f", "-", input=manifests.out)
    assert team.wait_ready("acme")["keyID"] == derived_key_id(digest_token(key))
    assert manifest["spec"] == {"delivery": "None", "digests": [{"digest": digest_token(key)}]}
    assert told(person.runs("import", file, "--at-least-bits", "128")) == [("acme", "unchanged")]


def test_keys_come_in_by_standard_input(team: Team, person: Person, key: str) -> None:
    environment = {"PATH": f"{BIN}{os.pathsep}/usr/bin", "KUBECONFIG": str(person.kubeconfig)}
    words = [str(BIN / "keyturn"), "import", "-", "-n", team.namespace]
    text = json.dumps([{"name": "piped", "key": key}])
    done = subprocess.run(words, env=environment, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "1 created\n")
    assert team.wait_ready("piped")["keyID"] == derived_key_id(digest_token(key))


@pytest.mark.parametrize("text", ["", "name,secret\nacme,abcdefgh\n", '[{"name": "acme"'])
def test_a_file_that_is_none_is_refused_without_a_word_of_it(person: Person, tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    answer = person.runs("import", str(file))
    assert (answer.code, answer.out) == (1, "")
    assert "abcdefgh" not in answer.err
    assert "Traceback" not in answer.err
