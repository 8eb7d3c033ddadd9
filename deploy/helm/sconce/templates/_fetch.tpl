{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The init container that fetches archives: `sconce pull` keeps what is there until its successor
     has the right checksum. */}}

{{- define "sconce.modelList" -}}
# name sha256 url
{{- range .Values.modelStore.fetch.models }}
{{ .name }} {{ .sha256 }} {{ .url }}
{{- end }}
{{- end }}

{{- define "sconce.initContainers" -}}
{{- if or (eq .Values.modelStore.kind "fetch") .Values.extraInitContainers }}
initContainers:
  {{- with .Values.extraInitContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if eq .Values.modelStore.kind "fetch" }}
  - name: models
    {{- include "sconce.fetchContainer" . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "sconce.fetchContainer" -}}
{{- $fetch := .Values.modelStore.fetch }}
image: {{ include "sconce.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: ["sconce"]
args:
  - pull
  - --into
  - {{ include "sconce.store" . }}
  - --limit
  - {{ $fetch.limitSeconds | quote }}
  - --allowed
  - {{ $fetch.allowedUrls | quote }}
  {{- if $fetch.prune }}
  - --prune
  {{- end }}
  {{- if $fetch.models }}
  - /etc/sconce/config/models.list
  {{- end }}
  {{- if $fetch.existingSecret }}
  - /etc/sconce/models/{{ $fetch.secretKey }}
  {{- end }}
{{- with $fetch.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml $fetch.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/sconce/config, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- if $fetch.existingSecret }}
  - {name: model-secret, mountPath: /etc/sconce/models, readOnly: true}
  {{- end }}
  - {{ include "sconce.storeMount" . }}
{{- end }}
