{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* Names, labels, and the pieces that more than one object needs. */}}

{{- define "sconce.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Suffixes such as -management have to fit into 63 characters, too. */}}
{{- define "sconce.fullname" -}}
{{- $name := include "sconce.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "sconce.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sconce.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sconce.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "sconce.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* (dict "root" $ "suffix" "-management" "labels" {…} "annotations" {…}) */}}
{{- define "sconce.metadata" -}}
name: {{ include "sconce.fullname" .root }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "sconce.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sconce.serviceAccountName" -}}
{{- $own := ternary (include "sconce.fullname" .) "default" .Values.serviceAccount.create }}
{{- default $own .Values.serviceAccount.name }}
{{- end }}

{{- define "sconce.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- define "sconce.keysSecret" -}}
{{- default (printf "%s-keys" (include "sconce.fullname" .)) .Values.auth.existingSecret }}
{{- end }}

{{- define "sconce.home" -}}
/home/model-server {{- /* tidy: allow machine: a place in the image */ -}}
{{- end }}

{{- define "sconce.store" -}}
{{- default (printf "%s/model-store" (include "sconce.home" .)) .Values.modelStore.path }}
{{- end }}

{{- define "sconce.claim" -}}
{{- default (printf "%s-models" (include "sconce.fullname" .)) .Values.modelStore.pvc.existingClaim }}
{{- end }}

{{/* "yes" where a PersistentVolumeClaim holds the models; else nothing. */}}
{{- define "sconce.usesClaim" -}}
{{- with .Values.modelStore }}
{{- if or (eq .kind "pvc") (and (eq .kind "fetch") (eq .fetch.into "pvc")) }}yes{{ end }}
{{- end }}
{{- end }}

{{/* Seconds from SIGTERM's eve to SIGKILL: the pause, the drain, what the server may take for its end
     after that (20 s), and a margin. */}}
{{- define "sconce.graceNeeded" -}}
{{- $drain := .Values.config.drain_timeout }}
{{- $drain = ternary 30 (int $drain) (kindIs "invalid" $drain) }}
{{- add (int .Values.shutdown.preStopSeconds) $drain 25 }}
{{- end }}

{{- define "sconce.grace" -}}
{{- default (include "sconce.graceNeeded" .) .Values.shutdown.gracePeriodSeconds | int }}
{{- end }}

{{- define "sconce.workloadApi" -}}
apiVersion: apps/v1
kind: {{ .Values.workload.kind }}
name: {{ include "sconce.fullname" . }}
{{- end }}

{{- define "sconce.autoscaled" -}}
{{- if or .Values.autoscaling.hpa.enabled .Values.autoscaling.keda.enabled }}yes{{ end }}
{{- end }}

{{- define "sconce.podMatchers" -}}
namespace={{ .Release.Namespace | quote }},pod=~"{{ include "sconce.fullname" . }}-.*"
{{- end }}

{{/* Sums over Pods of what each has, which KEDA divides by their number. The model that is worst off
     counts. No Pods are no load, not an error. */}}
{{- define "sconce.utilizationQuery" -}}
{{- $pods := printf "{%s}" (include "sconce.podMatchers" .) -}}
sum(max by (pod) (sum by (pod, model_name) (rate(sconce_worker_busy_seconds_total{{ $pods }}[1m])) / (sum by (pod, model_name) (sconce_workers_ready{{ $pods }}) > 0))) or vector(0)
{{- end }}

{{- define "sconce.queueWaitQuery" -}}
sum(max by (pod) (sconce_queue_wait_seconds{{ printf "{%s}" (include "sconce.podMatchers" .) }})) or vector(0)
{{- end }}
