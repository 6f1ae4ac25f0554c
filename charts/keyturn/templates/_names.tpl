{{/* The labels of every object. */}}
{{- define "keyturn.labels" -}}
app.kubernetes.io/name: keyturn
app.kubernetes.io/part-of: keyturn
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What Deployment, Service, PodDisruptionBudget and NetworkPolicy select by. A Deployment's selector can never change. */}}
{{- define "keyturn.operatorSelector" -}}
app.kubernetes.io/name: keyturn
app.kubernetes.io/component: operator
{{- end }}

{{- define "keyturn.verifierSelector" -}}
app.kubernetes.io/name: keyturn
app.kubernetes.io/component: verifier
{{- end }}

{{- define "keyturn.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "keyturn.rootSecretName" -}}
{{ .Values.rootSecret.existingSecret | default "keyturn-root" }}
{{- end }}

{{- define "keyturn.operatorSubject" -}}
- kind: ServiceAccount
  name: {{ .Values.serviceAccount.name }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* Guarded rests on the policies. Where there are none, somebody chose to give the right to read Secrets in the namespaces named. */}}
{{- define "keyturn.secretAccess" -}}
{{- or (eq .Values.rbac.mode "watch") (ne (include "keyturn.admissionPolicies" .) "installed") | ternary "watch" "guarded" -}}
{{- end }}

{{- define "keyturn.admissionPolicies" -}}
{{- and .Values.policies.enabled .Values.rbac.clusterRoles | ternary "installed" "none" -}}
{{- end }}

{{/* Settings as an environment. Numbers by toJson: as text, a million would be 1e+06. */}}
{{- define "keyturn.settings" -}}
{{- range $name, $value := . }}
KEYTURN_{{ $name | snakecase | upper }}: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}

{{- define "keyturn.environment" -}}
KEYTURN_RECORDS_NAMESPACE: {{ .Values.recordsNamespace.name | quote }}
KEYTURN_PROBE_ADDRESS: 0.0.0.0:8080
KEYTURN_SECRET_ACCESS: {{ include "keyturn.secretAccess" . }}
KEYTURN_ADMISSION_POLICIES: {{ include "keyturn.admissionPolicies" . }}
{{- with .Values.watchNamespaces }}
KEYTURN_WATCH_NAMESPACES: {{ join "," . | quote }}
{{- end }}
{{- with .Values.rootSecret.existingSecret }}
KEYTURN_ROOT_SECRET: {{ . | quote }}
{{- end }}
{{- include "keyturn.settings" .Values.settings }}
{{- end }}

{{- define "keyturn.verifierEnvironment" -}}
KEYTURN_RECORDS_NAMESPACE: {{ .Values.recordsNamespace.name | quote }}
KEYTURN_LISTEN_ADDRESS: 0.0.0.0:8080
KEYTURN_GRPC_ADDRESS: 0.0.0.0:9090
KEYTURN_PROBE_ADDRESS: 0.0.0.0:8081
KEYTURN_SNAPSHOT: /var/lib/keyturn/records
KEYTURN_VERIFICATION_KEYS_FILE: /etc/keyturn/verification-keys/keys.json
{{- with .Values.verifier.tls.secretName }}
KEYTURN_TLS_CERTIFICATE: /etc/keyturn/tls/tls.crt
KEYTURN_TLS_KEY: /etc/keyturn/tls/tls.key
{{- end }}
{{- with .Values.verifier.tls.gatewayCaSecretName }}
KEYTURN_GATEWAY_CA: /etc/keyturn/gateway-ca/ca.crt
{{- end }}
{{- with .Values.verifier.issuers }}
KEYTURN_ISSUERS: /etc/keyturn/issuers/issuers.yaml
{{- end }}
{{- include "keyturn.settings" .Values.verifier.settings }}
{{- end }}
