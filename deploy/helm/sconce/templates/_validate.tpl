{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* What values.schema.json cannot say: values that do not fit each other. */}}

{{- define "sconce.validate" -}}
{{- $v := .Values }}
{{- if and $v.autoscaling.hpa.enabled $v.autoscaling.keda.enabled }}
{{- fail "autoscaling.hpa.enabled and autoscaling.keda.enabled: KEDA makes an HPA of its own, so enable one of them" }}
{{- end }}
{{- if and $v.autoscaling.keda.enabled (eq (int $v.autoscaling.keda.minReplicas) 0) (not $v.autoscaling.keda.wake.query) }}
{{- fail "autoscaling.keda.minReplicas is 0, and no Pod tells a metric then: autoscaling.keda.wake.query has to say, from what stands in front (an Ingress, a queue), that there is work" }}
{{- end }}
{{- if gt (int (include "sconce.graceNeeded" .)) (int (include "sconce.grace" .)) }}
{{- fail (printf "shutdown.gracePeriodSeconds is %v, but the pause and config.drain_timeout need %s: requests would be cut off" $v.shutdown.gracePeriodSeconds (include "sconce.graceNeeded" .)) }}
{{- end }}
{{- with $v.modelStore }}
{{- if and (eq .kind "fetch") (not .fetch.models) (not .fetch.existingSecret) }}
{{- fail "modelStore.kind is fetch: modelStore.fetch.models or modelStore.fetch.existingSecret has to name what to fetch" }}
{{- end }}
{{- if and (eq .kind "imageVolume") (not .imageVolume.reference) }}
{{- fail "modelStore.kind is imageVolume: modelStore.imageVolume.reference has to name an image" }}
{{- end }}
{{- end }}
{{- $claim := include "sconce.usesClaim" . }}
{{- $single := not (has "ReadWriteMany" $v.modelStore.pvc.accessModes | or (has "ReadOnlyMany" $v.modelStore.pvc.accessModes)) }}
{{- $many := or (gt (int $v.workload.replicas) 1) (include "sconce.autoscaled" .) }}
{{- if and $claim (eq $v.workload.kind "Deployment") (not $v.modelStore.pvc.existingClaim) $single $many }}
{{- fail "modelStore.pvc.accessModes: more than one Pod shares the claim, so it has to be ReadWriteMany (or workload.kind StatefulSet, where each Pod has its own)" }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
{{- fail "ingress.enabled: ingress.hosts has to name at least one" }}
{{- end }}
{{- if and $v.gateway.enabled (not $v.gateway.parentRefs) (not $v.gateway.create.enabled) }}
{{- fail "gateway.enabled: gateway.parentRefs has to name a Gateway, or gateway.create.enabled make one" }}
{{- end }}
{{- if and $v.networkPolicy.enabled (eq $v.modelStore.kind "fetch") (not $v.networkPolicy.egress) }}
{{- fail "networkPolicy.egress is empty, so no model could be fetched: let Pods reach where modelStore.fetch has its addresses" }}
{{- end }}
{{- if and $v.monitoring.serviceMonitor.enabled (not $v.service.metrics.enabled) }}
{{- fail "monitoring.serviceMonitor.enabled needs service.metrics.enabled; monitoring.podMonitor does without a Service" }}
{{- end }}
{{- if and $v.podDisruptionBudget.enabled (not (kindIs "invalid" $v.podDisruptionBudget.minAvailable)) (not (kindIs "invalid" $v.podDisruptionBudget.maxUnavailable)) }}
{{- fail "podDisruptionBudget: minAvailable or maxUnavailable, not both" }}
{{- end }}
{{- end }}
