{{/*
What would go wrong later is refused here, before anything is on the cluster. Where helm has no cluster (helm template), lookup finds
nothing, and only the values are checked.
*/}}

{{- define "keyturn.checkValues" -}}
{{- $watched := .Values.watchNamespaces }}
{{- $records := .Values.recordsNamespace.name }}
{{- if and (eq .Values.rbac.mode "namespaced") (not $watched) }}
{{- fail "rbac.mode is namespaced and watchNamespaces is empty: name the namespaces whose ApiKeys are to be managed, or set rbac.mode to guarded for all" }}
{{- end }}
{{- if and (ne .Values.rbac.mode "namespaced") $watched }}
{{- fail (printf "watchNamespaces names namespaces and rbac.mode is %s, which gives rights in all: set rbac.mode to namespaced, or leave watchNamespaces empty" .Values.rbac.mode) }}
{{- end }}
{{- if and (ne .Values.rbac.mode "namespaced") (not .Values.rbac.clusterRoles) }}
{{- fail "rbac.clusterRoles is false, and without ClusterRoles there are no rights in all namespaces: set rbac.mode to namespaced and name them in watchNamespaces" }}
{{- end }}
{{- if and (eq .Values.rbac.mode "guarded") (not .Values.policies.enabled) }}
{{- fail "rbac.mode is guarded and policies.enabled is false: without the admission policies the right to patch Secrets is one to read them all. Set policies.enabled to true, or rbac.mode to watch" }}
{{- end }}
{{- if has $records $watched }}
{{- fail (printf "recordsNamespace.name %s is among watchNamespaces: the verifier records need a namespace of their own, where no team has rights" $records) }}
{{- end }}
{{- if eq $records .Release.Namespace }}
{{- fail (printf "recordsNamespace.name %s is the namespace of the release: whoever may read the records could read the root secret. Name another one" $records) }}
{{- end }}
{{- with .Values.verifier.tls }}
{{- if and .gatewayCaSecretName (not .secretName) }}
{{- fail "verifier.tls.gatewayCaSecretName asks gateways for a certificate, which needs TLS: name the verifier's own in verifier.tls.secretName" }}
{{- end }}
{{- end }}
{{- with .Values.metrics }}
{{- if and .serviceMonitor.enabled .podMonitor.enabled }}
{{- fail "metrics.serviceMonitor and metrics.podMonitor are both enabled: every replica would be scraped twice. Enable one" }}
{{- end }}
{{- if and .serviceMonitor.enabled (not .service.enabled) }}
{{- fail "metrics.serviceMonitor needs metrics.service.enabled: it finds the replicas by the Service. Or enable metrics.podMonitor" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Records do not move: a new place would be empty, and the operator would issue every key anew. */}}
{{- define "keyturn.checkRecordsStay" -}}
{{- $settings := lookup "v1" "ConfigMap" .Release.Namespace "keyturn-settings" }}
{{- $before := dig "data" "KEYTURN_RECORDS_NAMESPACE" "" $settings }}
{{- if and $before (ne $before .Values.recordsNamespace.name) }}
{{- fail (printf "recordsNamespace.name is %s, and the records of this installation are in %s: without them every key would be issued anew. Set recordsNamespace.name to %s" .Values.recordsNamespace.name $before $before) }}
{{- end }}
{{- end }}

{{/* Two installations must not manage the same ApiKeys. A release made by helm says whose it is; one made by kubectl by whom it binds. */}}
{{- define "keyturn.checkBinding" -}}
{{- $found := .found }}
{{- $release := dig "metadata" "annotations" "meta.helm.sh/release-name" "" $found }}
{{- $namespace := dig "metadata" "annotations" "meta.helm.sh/release-namespace" "" $found }}
{{- if and $release (or (ne $release .Release.Name) (ne $namespace .Release.Namespace)) }}
{{- fail (printf "Keyturn is installed already, as release %s in namespace %s: two would manage the same ApiKeys. Upgrade that one (helm upgrade %s -n %s ...), or uninstall it first; its keys stay" $release $namespace $release $namespace) }}
{{- end }}
{{- range $subject := $found.subjects }}
{{- if ne (dig "namespace" "" $subject) $.Release.Namespace }}
{{- fail (printf "Keyturn is installed already, in namespace %s: two would manage the same ApiKeys. Install into that namespace (with --take-ownership if kubectl installed it), or remove it first; its keys stay" $subject.namespace) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "keyturn.checkBindings" -}}
{{- range $namespace := .Values.watchNamespaces }}
{{- $found := lookup "rbac.authorization.k8s.io/v1" "RoleBinding" $namespace "keyturn-operator" }}
{{- include "keyturn.checkBinding" (dict "found" $found "Release" $.Release) }}
{{- end }}
{{- end }}

{{/*
Helm prints this name where a lookup is forbidden, and it is what there is to say then.
*/}}
{{- define "no rights on cluster-scoped objects? Set rbac.clusterRoles, crds.install and recordsNamespace.create to false" -}}
{{- if .Values.rbac.clusterRoles }}
{{- range $kind := list "ClusterRoleBinding" "ClusterRole" }}
{{- $found := lookup "rbac.authorization.k8s.io/v1" $kind "" "keyturn-operator" }}
{{- include "keyturn.checkBinding" (dict "found" $found "Release" $.Release) }}
{{- end }}
{{- $wanted := .Values.recordsNamespace.create | ternary .Values.watchNamespaces (append .Values.watchNamespaces .Values.recordsNamespace.name) }}
{{- $isOnline := not (empty (lookup "v1" "Namespace" "" "kube-system")) }}
{{- range $namespace := $wanted }}
{{- if and $isOnline (not (lookup "v1" "Namespace" "" $namespace)) }}
{{- fail (printf "Namespace %s does not exist: kubectl create namespace %s" $namespace $namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- if or .Values.crds.install .Values.rbac.clusterRoles }}
{{- range $path, $_ := .Files.Glob "files/crds/*.yaml" }}
{{- $crd := $.Files.Get $path | fromYaml }}
{{- $found := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $crd.metadata.name }}
{{- include "keyturn.checkCrd" (dict "found" $found "root" $) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "keyturn.checkCrd" -}}
{{- $version := dig "metadata" "labels" "app.kubernetes.io/version" "" .found }}
{{- $ours := .root.Chart.AppVersion }}
{{- if $version }}
{{- $name := .found.metadata.name }}
{{- if and .root.Values.crds.install (semverCompare (printf ">%s" $ours) $version) }}
{{- fail (printf "CustomResourceDefinition %s on this cluster is of version %s, newer than this chart's (%s): fields that are in use could be lost. Install a chart of version %s or newer, or go back with helm rollback, or set crds.install to false to keep it" $name $version $ours $version) }}
{{- end }}
{{- if and (not .root.Values.crds.install) (semverCompare (printf "<%s" $ours) $version) }}
{{- fail (printf "CustomResourceDefinition %s on this cluster is of version %s, older than this chart (%s), and crds.install is false: apply this version's first (kubectl apply --server-side -f crds/), or set crds.install to true" $name $version $ours) }}
{{- end }}
{{- end }}
{{- end }}
