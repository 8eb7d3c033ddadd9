{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The Pod: the same for a Deployment and a StatefulSet. */}}

{{- define "sconce.podTemplate" -}}
metadata:
  labels:
    {{- include "sconce.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "sconce.properties" . | sha256sum }}
    {{- if eq .Values.modelStore.kind "fetch" }}
    checksum/models: {{ include "sconce.modelList" . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "sconce.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "sconce.grace" . }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- include "sconce.initContainers" . | nindent 2 }}
  containers:
    - name: sconce
      {{- include "sconce.container" . | nindent 6 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "sconce.volumes" . | nindent 4 }}
  {{- include "sconce.placement" . | nindent 2 }}
{{- end }}

{{- define "sconce.container" -}}
image: {{ include "sconce.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: ["sconce"]
args: ["serve", "--ts-config", "/etc/sconce/config/config.properties"]
workingDir: {{ include "sconce.home" . }}/tmp
ports:
  {{- range $name := list "inference" "management" "metrics" }}
  {{- if or (ne $name "management") $.Values.service.management.enabled }}
  - name: {{ $name }}
    containerPort: {{ index $.Values.ports $name }}
    protocol: TCP
  {{- end }}
  {{- end }}
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $probe, $path := dict "startup" "/livez" "liveness" "/livez" "readiness" "/readyz" }}
{{- with index $.Values.probes $probe }}
{{- if .enabled }}
{{ $probe }}Probe:
  httpGet:
    path: {{ $path }}
    port: inference
  {{- toYaml (omit . "enabled") | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.shutdown.preStopSeconds }}
lifecycle:
  preStop:
    {{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
    sleep:
      seconds: {{ .Values.shutdown.preStopSeconds }}
    {{- else }}
    exec:
      command: ["sleep", {{ .Values.shutdown.preStopSeconds | quote }}]
    {{- end }}
{{- end }}
resources:
  {{- include "sconce.resources" . | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  {{- include "sconce.mounts" . | nindent 2 }}
{{- end }}

{{- define "sconce.resources" -}}
{{- $all := deepCopy .Values.resources }}
{{- with .Values.gpu }}
{{- if .count }}
{{- $gpus := dict "limits" (dict .resource .count) }}
{{- $all = merge $gpus $all }}
{{- end }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{- define "sconce.mounts" -}}
- {name: config, mountPath: /etc/sconce/config, readOnly: true}
- {name: work, mountPath: {{ include "sconce.home" . }}/tmp}
- {name: tmp, mountPath: /tmp}
{{- if .Values.auth.enabled }}
- {name: keys, mountPath: /etc/sconce/keys, readOnly: true}
{{- end }}
{{- if .Values.sharedMemory }}
- {name: shm, mountPath: /dev/shm}
{{- end }}
{{- if eq .Values.cache.kind "ephemeral" }}
- {name: cache, mountPath: {{ include "sconce.home" . }}/cache}
{{- end }}
{{- if ne .Values.modelStore.kind "image" }}
- {{ include "sconce.storeMount" . }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where the server has its models; registrations over the API write there, so claims may be
     writable. */}}
{{- define "sconce.storeMount" -}}
{{- $store := .Values.modelStore }}
{{- $mount := dict "name" "models" "mountPath" (include "sconce.store" .) }}
{{- if include "sconce.usesClaim" . }}
{{- if $store.pvc.subPath }}{{ $_ := set $mount "subPath" $store.pvc.subPath }}{{ end }}
{{- $_ := set $mount "readOnly" $store.pvc.readOnly }}
{{- else if eq $store.kind "imageVolume" }}
{{- if $store.imageVolume.subPath }}{{ $_ := set $mount "subPath" $store.imageVolume.subPath }}{{ end }}
{{- $_ := set $mount "readOnly" true }}
{{- end }}
{{- toJson $mount }}
{{- end }}

{{- define "sconce.volumes" -}}
- name: config
  configMap:
    name: {{ include "sconce.fullname" . }}
- name: work
  emptyDir:
    {{- toYaml .Values.volumes.work | nindent 4 }}
- name: tmp
  emptyDir:
    {{- toYaml .Values.volumes.tmp | nindent 4 }}
{{- if .Values.auth.enabled }}
- name: keys
  secret:
    secretName: {{ include "sconce.keysSecret" . }}
    defaultMode: 0440
{{- end }}
{{- if .Values.sharedMemory }}
- name: shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ .Values.sharedMemory }}
{{- end }}
{{- if eq .Values.cache.kind "ephemeral" }}
- name: cache
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .Values.cache.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .Values.cache.size }}
{{- end }}
{{- include "sconce.storeVolume" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sconce.storeVolume" -}}
{{- $store := .Values.modelStore }}
{{- if include "sconce.usesClaim" . }}
{{- if or (eq .Values.workload.kind "Deployment") $store.pvc.existingClaim }}
- name: models
  persistentVolumeClaim:
    claimName: {{ include "sconce.claim" . }}
{{- end }}
{{- else if eq $store.kind "fetch" }}
- name: models
  emptyDir:
    {{- toYaml .Values.volumes.models | nindent 4 }}
{{- else if eq $store.kind "imageVolume" }}
- name: models
  image:
    reference: {{ $store.imageVolume.reference }}
    pullPolicy: {{ $store.imageVolume.pullPolicy }}
{{- end }}
{{- if eq $store.kind "fetch" }}
{{- if $store.fetch.existingSecret }}
- name: model-secret
  secret:
    secretName: {{ $store.fetch.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end }}

{{- define "sconce.placement" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with merge (dict) .Values.nodeSelector (ternary .Values.gpu.nodeSelector (dict) (gt (int .Values.gpu.count) 0)) }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $tolerations := .Values.tolerations }}
{{- if .Values.gpu.count }}
{{- $tolerations = concat $tolerations (list (dict "key" .Values.gpu.resource "operator" "Exists" "effect" "NoSchedule")) }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "sconce.affinity" . }}
{{- include "sconce.spread" . }}
{{- end }}

{{- define "sconce.affinity" -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (fromYaml (include "sconce.selectorLabels" .))) }}
{{- $own := dict }}
{{- if eq .Values.antiAffinity "soft" }}
{{- $own = dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term))) }}
{{- else if eq .Values.antiAffinity "hard" }}
{{- $own = dict "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) }}
{{- end }}
{{- with merge (dict) .Values.affinity $own }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sconce.spread" -}}
{{- $all := .Values.topologySpreadConstraints }}
{{- if ne .Values.zoneSpread "none" }}
{{- $when := ternary "DoNotSchedule" "ScheduleAnyway" (eq .Values.zoneSpread "hard") }}
{{- $all = append $all (dict "maxSkew" 1 "topologyKey" "topology.kubernetes.io/zone" "whenUnsatisfiable" $when "labelSelector" (dict "matchLabels" (fromYaml (include "sconce.selectorLabels" .)))) }}
{{- end }}
{{- with $all }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
