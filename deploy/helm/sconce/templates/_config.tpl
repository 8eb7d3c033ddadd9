{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* config.properties: what the chart decides, then .Values.config. */}}

{{/* A number as it was written: Helm reads large ones as floating point. */}}
{{- define "sconce.number" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{/* A value in the syntax of Java properties. Lists are comma lists, maps are JSON. */}}
{{- define "sconce.propertyValue" -}}
{{- $text := "" }}
{{- if kindIs "slice" . }}
{{- $text = join "," . }}
{{- else if kindIs "map" . }}
{{- $text = toJson . }}
{{- else if kindIs "string" . }}
{{- $text = . }}
{{- else }}
{{- $text = include "sconce.number" . }}
{{- end }}
{{- $text = $text | replace "\\" "\\\\" | replace "\n" "\\n" | replace "\r" "\\r" | replace "\t" "\\t" }}
{{- regexReplaceAll "^ " $text "\\ " }}
{{- end }}

{{/* The listener for management is the Pod's own where no Service leads to it. */}}
{{- define "sconce.managementHost" -}}
{{- ternary "0.0.0.0" "127.0.0.1" .Values.service.management.enabled }}
{{- end }}

{{- define "sconce.ownConfig" -}}
inference_address: http://0.0.0.0:{{ .Values.ports.inference }}
management_address: http://{{ include "sconce.managementHost" . }}:{{ .Values.ports.management }}
metrics_address: http://0.0.0.0:{{ .Values.ports.metrics }}
model_store: {{ include "sconce.store" . }}
tmp_dir: {{ include "sconce.home" . }}/tmp
log_location: ""
metrics_location: ""
{{- if eq .Values.cache.kind "ephemeral" }}
cache_dir: {{ include "sconce.home" . }}/cache
{{- end }}
{{- if .Values.auth.enabled }}
keys_from: /etc/sconce/keys/{{ .Values.auth.secretKey }}
{{- else }}
disable_token_authorization: "true"
{{- end }}
{{- end }}

{{- define "sconce.properties" -}}
{{- $all := merge (fromYaml (include "sconce.ownConfig" .)) .Values.config }}
{{- range $key, $value := $all }}
{{- if not (kindIs "invalid" $value) }}
{{ $key }}={{ include "sconce.propertyValue" $value }}
{{- end }}
{{- end }}
{{- with .Values.extraConfig }}
{{ . }}
{{- end }}
{{- end }}
