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

{{/* The settings as the operator's environment. Numbers by toJson: as text, a million would be 1e+06. */}}
{{- define "keyturn.environment" -}}
KEYTURN_RECORDS_NAMESPACE: {{ .Values.recordsNamespace.name | quote }}
KEYTURN_PROBE_ADDRESS: 0.0.0.0:8080
{{- with .Values.watchNamespaces }}
KEYTURN_WATCH_NAMESPACES: {{ join "," . | quote }}
{{- end }}
{{- with .Values.rootSecret.existingSecret }}
KEYTURN_ROOT_SECRET: {{ . | quote }}
{{- end }}
{{- range $name, $value := .Values.settings }}
KEYTURN_{{ $name | snakecase | upper }}: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}
