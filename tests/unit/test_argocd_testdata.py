"""deploy/argocd/testdata is what the operator says today: Argo CD and Flux are tried on it in tests/argocd."""

from __future__ import annotations

from gen.gitops_situations import TESTDATA, files


def test_every_situation_stands_in_the_testdata_as_the_operator_tells_it() -> None:
    assert {file.name: file.read_text() for file in TESTDATA.iterdir()} == files(), "run make argocd"
