{{/*
What the operator may do where it manages ApiKeys. deploy/base/operator-rights.yaml says the same and why; a test compares them, and
both with what the operator asks for (operator/keyturn/controller/rights.py).
*/}}
{{- define "keyturn.tenantRules" -}}
- apiGroups: [keyturn.dev]
  resources: [apikeys]
  verbs: [get, list, watch]
- apiGroups: [keyturn.dev]
  resources: [apikeys/status]
  verbs: [patch]
- apiGroups: [keyturn.dev]
  resources: [apiproducts]
  verbs: [list, watch]
- apiGroups: [keyturn.dev]
  resources: [apiproducts/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  {{- $mayRead := and (eq .Values.rbac.mode "namespaced") (eq (include "keyturn.secretAccess" .) "watch") }}
  verbs: [{{ $mayRead | ternary "get, list, watch, " "" }}create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list, patch]
{{- end }}
