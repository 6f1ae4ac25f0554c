{{/*
deploy/policies/ with the names of this release's values in place of the usual ones. Whole quoted words only, so that no name can be
taken for part of another; the schema lets no quote into any of them.
*/}}
{{- define "keyturn.withNames" -}}
{{- $values := .root.Values }}
{{- $account := printf "'system:serviceaccount:%s:%s'" .root.Release.Namespace $values.serviceAccount.name }}
{{- .text
  | replace "'system:serviceaccount:keyturn-system:keyturn-operator'" $account
  | replace "'keyturn-system'" (printf "'%s'" .root.Release.Namespace)
  | replace "'keyturn-verifiers'" (printf "'%s'" $values.recordsNamespace.name)
  | replace "'keyturn-root'" (printf "'%s'" (include "keyturn.rootSecretName" .root))
  | replace "['keyturn:break-glass']" (include "keyturn.celList" $values.policies.breakGlass)
  | replace "['keyturn:gitops']" (include "keyturn.celList" $values.policies.gitOps)
}}
{{- end }}

{{- define "keyturn.celList" -}}
[{{ range $index, $each := . }}{{ if $index }}, {{ end }}'{{ $each }}'{{ end }}]
{{- end }}
