{{/* Of the Service too: no dots, and a letter first. */}}
{{- define "streamqueue.name" -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $release -}}
{{- printf "streamqueue-%s" ($release | trunc 40 | trimSuffix "-") -}}
{{- else if contains "streamqueue" $release -}}
{{- $release | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-streamqueue" ($release | trunc 40 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "streamqueue.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "streamqueue.selectorLabels" -}}
app.kubernetes.io/name: streamqueue
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Of the pod that `helm test` runs. */}}
{{- define "streamqueue.testLabels" -}}
app.kubernetes.io/name: streamqueue-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Two releases in one namespace must not share one. */}}
{{- define "streamqueue.lease" -}}
{{- include "streamqueue.name" . }}-operator
{{- end -}}

{{- define "streamqueue.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "streamqueue.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "streamqueue.labels" -}}
{{ include "streamqueue.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* What the operator may do where it runs queues. No delete: owner references do that. */}}
{{- define "streamqueue.queueRules" -}}
- apiGroups: [streamqueue.dev]
  resources: [streamqueues]
  verbs: [list, watch]
- apiGroups: [streamqueue.dev]
  resources: [streamqueues/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}
