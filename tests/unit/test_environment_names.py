"""Names under which nothing may stand in a Secret that becomes somebody's environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from keyturn.api.environment_names import RUNS_CODE, runs_code
from keyturn.api.v1alpha1.apikey_spec import ApiKeySpec

POLICY = Path(__file__).parents[2] / "deploy" / "policies" / "operator-secrets.yaml"


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CATALINA_OPTS", "BASH_ENV", "ENV"),
        *("PYTHONPATH", "PERL5OPT", "RUBYOPT", "DOTNET_STARTUP_HOOKS", "COR_PROFILER", "COMPlus_x", "npm_config_x", "GIT_SSH_COMMAND"),
        *("IBM_JAVA_OPTIONS", "OPENJ9_JAVA_OPTIONS", "CLASSPATH", "HADOOP_CLASSPATH", "RUSTC_WRAPPER", "GIT_ASKPASS", "GIT_EDITOR"),
        *("GIT_SEQUENCE_EDITOR", "GIT_PAGER", "GIT_PROXY_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_TEMPLATE_DIR"),
    ],
)
def test_what_a_loader_a_shell_or_a_runtime_obeys_is_known(name: str) -> None:
    assert runs_code(name)


@pytest.mark.parametrize(
    "name",
    [
        *("api-key", "API_KEY", "API_URL", "path", "env", "home", "options", "MY_PATH", "OPTS", "node.json", "OLD_KEY"),
        *("GIT_TOKEN", "GIT_USERNAME", "GIT_PASSWORD", "GIT_URL", "JAVA", "MY_JAVA", "JAVASCRIPT_KEY"),
    ],
)
def test_what_teams_call_their_entries_is_not(name: str) -> None:
    assert not runs_code(name)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ({"data": {"NODE_OPTIONS": "$(API_KEY)"}}, "secretKeyRef"),
        ({"labels": {"owner": "helm"}}, "Helm"),
        ({"labels": {"istio/multiCluster": "true"}}, "Istio"),
    ],
)
def test_a_template_with_one_is_refused_with_the_reason(template: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ApiKeySpec.model_validate({"secretTemplate": template})


def test_a_label_owner_of_a_team_is_fine() -> None:
    assert ApiKeySpec.model_validate({"secretTemplate": {"labels": {"owner": "shop"}, "data": {"path": "x"}}})


def test_the_policy_has_the_same_pattern() -> None:
    policy = next(yaml.safe_load_all(POLICY.read_text()))
    (expression,) = [each["expression"] for each in policy["spec"]["validations"] if ".matches(" in each["expression"]]
    assert "".join(re.findall(r"'([^']*)'", expression.partition(".matches(")[2])) == RUNS_CODE
