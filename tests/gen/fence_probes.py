"""What somebody with the operator's token might try, each with who refuses it; and what the operator itself does."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from gen.fence import ACCOUNT, RECORDS, SECRETS, SYSTEM, credential, record, secret
from gen.operator_process import unique_name
from gen.team import APPLY, MERGE, Api, bare_pod
from testbed.cluster import ApiFailed

Json = dict[str, Any]

STRATEGIC: Final = "application/strategic-merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
VICTIM: Final = "victim"
SECRET: Final = SECRETS.format(VICTIM)
PODS: Final = f"/api/v1/namespaces/{VICTIM}/pods"
EVENTS: Final = f"/apis/events.k8s.io/v1/namespaces/{VICTIM}/events"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
POLICIES: Final = "/apis/admissionregistration.k8s.io/v1"
LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
KINDS: Final = {
    "Deployment": f"/apis/apps/v1/namespaces/{VICTIM}/deployments",
    "StatefulSet": f"/apis/apps/v1/namespaces/{VICTIM}/statefulsets",
    "DaemonSet": f"/apis/apps/v1/namespaces/{VICTIM}/daemonsets",
    "Rollout": f"/apis/argoproj.io/v1alpha1/namespaces/{VICTIM}/rollouts",
}
GROUPS: Final = {kind: path.removeprefix("/apis/").partition("/namespaces/")[0] for kind, path in KINDS.items()}
BY_SECRETS: Final = "keyturn-operator-secrets"
BY_WORKLOADS: Final = "keyturn-operator-workloads"
BY_OBJECTS: Final = "keyturn-operator-objects"
BY_RIGHTS: Final = "cannot"
"""RBAC's word: User \"...\" cannot patch resource \"...\"."""
ROLLOUT_CRD: Final[Json] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "scope": "Namespaced",
        "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout", "listKind": "RolloutList"},
        "versions": [
            {
                "name": "v1alpha1", "served": True, "storage": True, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}  # fmt: skip
"""As far as the fence looks at it."""


ROLLOUT: Final[Json] = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to try with the token, and by what it is refused."""

    does: str
    refused_by: str
    method: str
    path: str
    body: object = None
    content_type: str = MERGE

    def __str__(self) -> str:
        return self.does

    def run(self, api: Api, *, query: str = "") -> Json:
        """Raise ApiFailed where it is refused."""
        path = f"{self.path}{'&' if '?' in self.path else '?'}{query}" if query else self.path
        return api.ask(self.method, path, self.body, content_type=self.content_type if self.method == "PATCH" else "application/json")


def assert_refused(probe: Probe, api: Api) -> None:
    """It is tried, and refused by what it says."""
    refusal = _refusal(probe, api)
    assert refusal is not None, f"{probe} was let through"
    assert (refusal.status, probe.refused_by in str(refusal)) == (HTTPStatus.FORBIDDEN, True), str(refusal)


def _refusal(probe: Probe, api: Api) -> ApiFailed | None:
    try:
        probe.run(api)
    except ApiFailed as refusal:
        return refusal
    return None


def creates(does: str, by: str, path: str, body: Json) -> Probe:
    return Probe(does, by, "POST", path, body)


def patches(does: str, by: str, path: str, body: object, *, content_type: str = MERGE) -> Probe:
    return Probe(does, by, "PATCH", path, body, content_type)


def deletes(does: str, path: str) -> Probe:
    return Probe(does, BY_RIGHTS, "DELETE", path)


def reads(does: str, path: str) -> Probe:
    return Probe(does, BY_RIGHTS, "GET", path)


def event(**changes: object) -> Json:
    regarding = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "name": "billing", "namespace": VICTIM}
    usual = {
        "metadata": {"name": unique_name("event")}, "eventTime": "2026-11-30T06:00:00.000000Z", "regarding": regarding, "type": "Normal",
        "reason": "Issued", "action": "Issue", "note": "x", "reportingController": "keyturn.dev/operator", "reportingInstance": "operator",
    }  # fmt: skip
    return usual | changes


OURS: Final = {"app.kubernetes.io/managed-by": "keyturn", "keyturn.dev/apikey": "foreign"}
OWNER: Final = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "0d0ca2d5-0000-4000-8000-000000000000"}
APIKEY: Final = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "name": "own", "uid": "0d0ca2d5-0000-4000-8000-000000000001"}
"""That nobody has ever made: what it owns the garbage collector takes away."""
FOREIGN: Final = f"{SECRET}/foreign"
OWN: Final = f"{SECRET}/own"
RECORD: Final = f"{SECRETS.format(RECORDS)}/{VICTIM}.own"
RUN_AS_CODE: Final = (
    "NODE_OPTIONS",
    "LD_PRELOAD",
    "JAVA_TOOL_OPTIONS",
    "BASH_ENV",
    "PYTHONPATH",
    "DOTNET_STARTUP_HOOKS",
    "KAFKA_OPTS",
    "PATH",
)
"""Of a workload that takes its whole credential for its environment."""
TAKEN_BY_LABEL: Final = {
    "Argo CD": {"argocd.argoproj.io/secret-type": "cluster"},
    "Helm": {"owner": "helm"},
    "Istio": {"istio/multiCluster": "true"},
    "Sealed Secrets": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"},
}
SERVICE_ACCOUNT_TOKEN: Final = secret(
    "token", "kubernetes.io/service-account-token", annotations={"kubernetes.io/service-account.name": "default"}
)
APPLIED: Final = {"apiVersion": "v1", "kind": "Secret", "metadata": {"labels": OURS}, "stringData": {"password": "mine"}}

ON_SECRETS: Final = [
    creates("creates a foreign Secret", BY_SECRETS, SECRET, secret("new")),
    creates("creates a service account's token", BY_SECRETS, SECRET, SERVICE_ACCOUNT_TOKEN),
    creates("creates a Secret with our labels and another type", BY_SECRETS, SECRET, secret("foreign-2", labels=OURS)),
    creates("creates a credential without our labels", BY_SECRETS, SECRET, secret("new", "keyturn.dev/api-key")),
    creates("creates a credential among the records", BY_SECRETS, SECRETS.format(RECORDS), credential("new")),
    creates("creates a foreign Secret among the records", BY_SECRETS, SECRETS.format(RECORDS), secret("new")),
    creates("creates a record in a team's namespace", BY_SECRETS, SECRET, record(VICTIM, "new")),
    creates(
        "creates a record under another name than its labels say", BY_SECRETS, SECRETS.format(RECORDS),
        {**record(VICTIM, "new"), "metadata": {**record(VICTIM, "new")["metadata"], "name": "other.new"}},
    ),
    creates(
        "creates a second root secret", BY_SECRETS, SECRETS.format(SYSTEM),
        secret("root-2", "keyturn.dev/root", labels={"app.kubernetes.io/managed-by": "keyturn"}),
    ),
    creates(
        "creates a root secret in a team's namespace", BY_SECRETS, SECRET,
        secret("keyturn-root", "keyturn.dev/root", labels={"app.kubernetes.io/managed-by": "keyturn"}),
    ),
    creates("creates a credential with a finalizer", BY_SECRETS, SECRET, credential("new", finalizers=["example.com/stay"])),
    creates("creates a credential with a foreign owner", BY_SECRETS, SECRET, credential("new", ownerReferences=[OWNER])),
    *(
        creates(f"creates a credential with {name}", BY_SECRETS, SECRET, {**credential("new"), "stringData": {name: "x"}})
        for name in RUN_AS_CODE
    ),
    *(
        creates(f"creates a credential that {tool} takes for its own", BY_SECRETS, SECRET, credential("new", labels=labels))
        for tool, labels in TAKEN_BY_LABEL.items()
    ),
    creates(
        "creates a credential of another ApiKey than its label says", BY_SECRETS, SECRET,
        credential("new", ownerReferences=[{**APIKEY, "name": "other"}]),
    ),
    creates(
        "creates a record with an owner", BY_SECRETS, SECRETS.format(RECORDS),
        record(VICTIM, "new", ownerReferences=[{**APIKEY, "name": "new"}]),
    ),
    creates(
        "creates a root secret with an owner", BY_SECRETS, SECRETS.format(SYSTEM),
        secret("keyturn-root", "keyturn.dev/root", labels={"app.kubernetes.io/managed-by": "keyturn"}, ownerReferences=[APIKEY]),
    ),
    creates("creates a credential that nobody can change", BY_SECRETS, SECRET, {**credential("new"), "immutable": True}),
    creates(
        "creates a record that nobody can change", BY_SECRETS, SECRETS.format(RECORDS), {**record(VICTIM, "new"), "immutable": True}
    ),
    reads("reads a foreign Secret", FOREIGN),
    reads("reads a credential", OWN),
    reads("lists the Secrets of a namespace", SECRET),
    reads("lists all Secrets", "/api/v1/secrets"),
    reads("watches all Secrets", "/api/v1/secrets?watch=1"),
    patches("reads a foreign Secret by an empty patch", BY_SECRETS, FOREIGN, {}),
    patches("reads a foreign Secret by an empty JSON patch", BY_SECRETS, FOREIGN, [], content_type=JSON_PATCH),
    patches("reads a foreign Secret by an empty strategic merge patch", BY_SECRETS, FOREIGN, {}, content_type=STRATEGIC),
    patches("reads a foreign Secret by a dry run", BY_SECRETS, f"{FOREIGN}?dryRun=All", {}),
    patches("reads the canary by an empty patch", BY_SECRETS, f"{SECRETS.format(SYSTEM)}/keyturn-canary", {}),
    patches("reads the root secret by an empty patch", BY_SECRETS, f"{SECRETS.format(SYSTEM)}/keyturn-root", {}),
    patches("labels a foreign Secret as ours", BY_SECRETS, FOREIGN, {"metadata": {"labels": OURS}}),
    patches("changes a foreign Secret's data", BY_SECRETS, FOREIGN, {"stringData": {"password": "mine"}}),
    patches("takes over a foreign Secret by apply", BY_SECRETS, f"{FOREIGN}?fieldManager=x&force=true", APPLIED, content_type=APPLY),
    patches("changes the root secret", BY_SECRETS, f"{SECRETS.format(SYSTEM)}/keyturn-root", {"stringData": {"root": "mine"}}),
    patches("takes our label from a credential", BY_SECRETS, OWN, {"metadata": {"labels": {"keyturn.dev/apikey": None}}}),
    patches("sets a finalizer on a credential", BY_SECRETS, OWN, {"metadata": {"finalizers": ["example.com/stay"]}}),
    patches("gives a credential a foreign owner", BY_SECRETS, OWN, {"metadata": {"ownerReferences": [OWNER]}}),
    patches(
        "gives a credential another ApiKey than its label says", BY_SECRETS, OWN,
        {"metadata": {"ownerReferences": [{**APIKEY, "name": "other"}]}},
    ),
    patches("freezes a credential", BY_SECRETS, OWN, {"immutable": True}),
    patches("has the garbage collector delete a record", BY_SECRETS, RECORD, {"metadata": {"ownerReferences": [APIKEY]}}),
    patches("freezes a record, so that its key cannot be revoked", BY_SECRETS, RECORD, {"immutable": True}),
    *(
        patches(f"labels a credential for {tool}", BY_SECRETS, OWN, {"metadata": {"labels": labels}})
        for tool, labels in TAKEN_BY_LABEL.items()
    ),
    *(patches(f"gives a credential {name}", BY_SECRETS, OWN, {"stringData": {name: "x"}}) for name in RUN_AS_CODE),
    deletes("deletes a foreign Secret", FOREIGN),
    deletes("deletes a credential", OWN),
    deletes("deletes all Secrets of a namespace", SECRET),
    deletes("deletes the root secret", f"{SECRETS.format(SYSTEM)}/keyturn-root"),
    Probe("replaces a Secret", BY_RIGHTS, "PUT", OWN, credential("own")),
]  # fmt: skip


def container(**changes: object) -> Json:
    """A strategic merge's or a Rollout's only container."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "web:1", **changes}]}}}}


def pod(**changes: object) -> Json:
    return {"spec": {"template": {"spec": changes}}}


WORKLOAD_CHANGES: Final[dict[str, Json]] = {
    "another image": container(image="evil:1"),
    "another command": container(command=["sh"]),
    "another environment": container(env=[{"name": "A", "value": "b"}]),
    "a privileged container": container(securityContext={"privileged": True}),
    "a container before": pod(initContainers=[{"name": "first", "image": "evil:1"}]),
    "a volume": pod(volumes=[{"name": "host", "hostPath": {"path": "/"}}]),
    "another service account": pod(serviceAccountName="admin"),
    "the host's processes": pod(hostPID=True),
    "a node": pod(nodeName="kwok-0"),
    "another label on its pods": {"spec": {"template": {"metadata": {"labels": {"team": "other"}}}}},
    "a foreign annotation on its pods": {"spec": {"template": {"metadata": {"annotations": {"sidecar.istio.io/inject": "false"}}}}},
    "no annotation of its own any more": {"spec": {"template": {"metadata": {"annotations": {"team": None}}}}},
    "one of ours and a foreign one": {
        "spec": {"template": {"metadata": {"annotations": {"rollout.keyturn.dev/billing": "k", "evil": "yes"}}}}
    },
    "another deadline": {"spec": {"minReadySeconds": 7}},
    "a label": {"metadata": {"labels": {"argocd.argoproj.io/instance": "mine"}}},
    "an annotation": {"metadata": {"annotations": {"keyturn.dev/rollout": "allow"}}},
    "a bogus owner": {"metadata": {"ownerReferences": [OWNER]}},
    "a finalizer": {"metadata": {"finalizers": ["example.com/stay"]}},
}
OF_GITOPS: Final[Json] = {"spec": {"template": {"metadata": {"annotations": {"rollout.keyturn.dev/shipping": "from-git"}}}}}
"""Somebody found our annotation in the cluster and applies it."""


APPLIES: Final = "flux"
"""Applies every workload that is attacked: what goes out of Git goes out of the cluster only while this is known for its manager."""
IN_GIT: Final[Json] = {"metadata": {"annotations": {"example.com/in-git": "yes"}}}
FORGOTTEN: Final[Json] = {"metadata": {"managedFields": [{}]}}
"""As the API server documents it: nobody manages anything any more."""


def applied(kind: str, changes: Json) -> Json:
    """As whoever applies it sends it."""
    return {"apiVersion": GROUPS[kind], "kind": kind, **changes}


def takes_over(kind: str, *, manager: str, operation: str) -> list[Json]:
    """Says that somebody manages a field which another one set: his next apply, which does not have it, would remove it."""
    fields = {"f:spec": {"f:template": {"f:spec": {"f:securityContext": {}}}}}
    entry = {"manager": manager, "operation": operation, "apiVersion": GROUPS[kind], "fieldsType": "FieldsV1", "fieldsV1": fields}
    return [{"op": "add", "path": "/metadata/managedFields/-", "value": {**entry, "time": "2026-11-30T06:00:00Z"}}]


ITS_ANNOTATION: Final[Json] = {"spec": {"template": {"metadata": {"annotations": {"rollout.keyturn.dev/billing": "k"}}}}}
AS_ITSELF: Final = "?fieldManager=keyturn"
"""As the operator calls itself; under another name a patch is refused for that alone."""
ON_WORKLOADS: Final = [
    *(
        patches(f"gives a {kind} {what}", BY_WORKLOADS, f"{path}/web{AS_ITSELF}", change)
        for kind, path in KINDS.items()
        for what, change in WORKLOAD_CHANGES.items()
    ),
    *(
        patches(f"gives a {kind} other replicas", BY_WORKLOADS, f"{path}/web{AS_ITSELF}", {"spec": {"replicas": 0}})
        for kind, path in KINDS.items()
        if kind != "DaemonSet"
    ),
    *(
        patches(
            f"says that {manager} manages a field of a {kind}", BY_WORKLOADS, f"{path}/web{AS_ITSELF}",
            takes_over(kind, manager=manager, operation=operation), content_type=JSON_PATCH,
        )
        for kind, path in KINDS.items()
        for manager, operation in (("argocd-controller", "Apply"), ("keyturn", "Apply"), ("kubectl-client-side-apply", "Update"))
    ),
    *(patches(f"forgets who manages a {kind}", BY_WORKLOADS, f"{path}/web{AS_ITSELF}", FORGOTTEN) for kind, path in KINDS.items()),
    *(
        patches(f"forgets who manages a {kind} as it restarts it", BY_WORKLOADS, f"{path}/web{AS_ITSELF}", {**FORGOTTEN, **ITS_ANNOTATION})
        for kind, path in KINDS.items()
    ),
    patches(
        "gives a Rollout something beside its spec", BY_WORKLOADS, f"{KINDS['Rollout']}/web{AS_ITSELF}", {"extra": {"image": "evil:1"}}
    ),
    patches(
        "gives a Deployment another image by JSON patch", BY_WORKLOADS, f"{KINDS['Deployment']}/web{AS_ITSELF}",
        [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil:1"}], content_type=JSON_PATCH,
    ),
    patches(
        "gives a Deployment a container by apply", BY_WORKLOADS, f"{KINDS['Deployment']}/web?fieldManager=x&force=true",
        {"apiVersion": "apps/v1", "kind": "Deployment", **pod(containers=[{"name": "side", "image": "evil:1"}])}, content_type=APPLY,
    ),
    *(creates(f"creates a {kind}", BY_RIGHTS, path, {"metadata": {"name": "new"}}) for kind, path in KINDS.items()),
    *(deletes(f"deletes a {kind}", f"{path}/web") for kind, path in KINDS.items()),
    *(patches(f"changes the status of a {kind}", BY_RIGHTS, f"{path}/web/status", {"status": {"x": 1}}) for kind, path in KINDS.items()),
    patches("scales by the subresource", BY_RIGHTS, f"{KINDS['Deployment']}/web/scale", {"spec": {"replicas": 0}}),
]  # fmt: skip
ELSEWHERE: Final = [
    patches("adds an ephemeral container", BY_RIGHTS, f"{PODS}/single/ephemeralcontainers", {"spec": {"ephemeralContainers": []}}),
    creates("runs a command in a pod", BY_RIGHTS, f"{PODS}/single/exec?command=sh&stdout=true", {}),
    creates("forwards a pod's port", BY_RIGHTS, f"{PODS}/single/portforward", {}),
    creates("creates a pod", BY_RIGHTS, PODS, bare_pod("new")),
    patches("changes a pod", BY_RIGHTS, f"{PODS}/single", {"metadata": {"labels": {"a": "b"}}}),
    deletes("deletes a pod", f"{PODS}/single"),
    creates("evicts a pod", BY_RIGHTS, f"{PODS}/single/eviction", {"metadata": {"name": "single"}}),
    creates(
        "asks for another account's token", BY_RIGHTS, "/api/v1/namespaces/kube-system/serviceaccounts/namespace-controller/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    ),
    creates("creates a ClusterRoleBinding", BY_RIGHTS, f"{RBAC}/clusterrolebindings", {"metadata": {"name": "new"}}),
    patches("widens its own rights", BY_RIGHTS, f"{RBAC}/clusterroles/{ACCOUNT}", {"rules": []}),
    patches("changes a policy", BY_RIGHTS, f"{POLICIES}/validatingadmissionpolicies/{BY_SECRETS}", {"spec": {}}),
    deletes("deletes a policy", f"{POLICIES}/validatingadmissionpolicies/{BY_SECRETS}"),
    deletes("deletes a policy's binding", f"{POLICIES}/validatingadmissionpolicybindings/{BY_SECRETS}"),
    patches("relabels a namespace", BY_RIGHTS, f"/api/v1/namespaces/{VICTIM}", {"metadata": {"labels": {"a": "b"}}}),
    patches("changes another's Lease", BY_RIGHTS, f"{LEASES.format('kube-system')}/kube-scheduler", {"spec": {"holderIdentity": "me"}}),
    creates("creates a Lease of another's name", BY_OBJECTS, LEASES.format(SYSTEM), {"metadata": {"name": "other"}}),
    creates("creates a verifier's Lease", BY_RIGHTS, LEASES.format(RECORDS), {"metadata": {"name": "verifier-x"}}),
    creates("creates another ConfigMap", BY_OBJECTS, f"/api/v1/namespaces/{SYSTEM}/configmaps", {"metadata": {"name": "other"}}),
    creates("tells of a pod by an Event", BY_OBJECTS, EVENTS, event(regarding={"apiVersion": "v1", "kind": "Pod", "namespace": VICTIM})),
    creates("tells of an ApiKey in another's name", BY_OBJECTS, EVENTS, event(reportingController="kubelet")),
    patches("changes another's Event", BY_RIGHTS, f"{EVENTS}/other", {"note": "mine"}),
    deletes("deletes all Events of a namespace", EVENTS),
    patches("changes an ApiKey", BY_RIGHTS, f"/apis/keyturn.dev/v1alpha1/namespaces/{VICTIM}/apikeys/billing", {"spec": {}}),
    patches("widens an ApiProduct", BY_RIGHTS, f"/apis/keyturn.dev/v1alpha1/namespaces/{VICTIM}/apiproducts/billing", {"spec": {}}),
]  # fmt: skip

PROBES: Final = (*ON_SECRETS, *ON_WORKLOADS, *ELSEWHERE)
WITH_MORE_RIGHTS: Final = [
    Probe("deletes a foreign Secret", BY_SECRETS, "DELETE", FOREIGN),
    Probe("deletes a credential", BY_SECRETS, "DELETE", OWN),
    Probe("deletes all Secrets of a namespace", BY_SECRETS, "DELETE", SECRET),
    Probe("replaces a foreign Secret", BY_SECRETS, "PUT", FOREIGN, secret("foreign", labels=OURS)),
    *(Probe(f"deletes a {kind}", BY_WORKLOADS, "DELETE", f"{path}/web") for kind, path in KINDS.items()),
    creates("creates a Rollout", BY_WORKLOADS, KINDS["Rollout"], {**ROLLOUT, "metadata": {"name": "new"}, "spec": {}}),
    Probe("deletes another's ConfigMap", BY_OBJECTS, "DELETE", f"/api/v1/namespaces/{VICTIM}/configmaps/kube-root-ca.crt"),
    Probe("deletes its own ConfigMap", BY_OBJECTS, "DELETE", f"/api/v1/namespaces/{SYSTEM}/configmaps/keyturn-verification-keys"),
    patches("changes another's ConfigMap", BY_OBJECTS, f"/api/v1/namespaces/{VICTIM}/configmaps/kube-root-ca.crt", {"data": {"a": "b"}}),
    creates("creates a Lease elsewhere", BY_OBJECTS, LEASES.format(VICTIM), {"metadata": {"name": ACCOUNT}}),
]
"""What RBAC refuses too, as things are: should somebody give the operator more rights one day, the policies still stand."""
OWN_ACTIONS: Final = [
    creates("creates a credential", "", SECRET, credential("fresh")),
    creates("creates a record", "", SECRETS.format(RECORDS), record(VICTIM, "fresh")),
    creates("creates a credential of its ApiKey", "", SECRET, credential("owned", ownerReferences=[{**APIKEY, "name": "owned"}])),
    patches("makes a credential its ApiKey's", "", OWN, {"metadata": {"ownerReferences": [APIKEY]}}),
    patches("writes the next record", "", RECORD, {"stringData": {"record": "x"}}),
    patches(
        "changes a credential", "", OWN,
        {"stringData": {"api-key": "x", "API_URL": "y", "path": "z"}, "metadata": {"labels": {"team": "shop", "owner": "shop"}}},
    ),
    creates("tells of an ApiKey", "", EVENTS, event()),
    *(patches(f"restarts a {kind}", "", f"{path}/web{AS_ITSELF}", ITS_ANNOTATION) for kind, path in KINDS.items()),
    patches(
        "restarts a Deployment whose annotation GitOps applies", "", f"{KINDS['Deployment']}/web{AS_ITSELF}",
        {"spec": {"template": {"metadata": {"annotations": {"rollout.keyturn.dev/shipping": "k"}}}}},
    ),
]  # fmt: skip
