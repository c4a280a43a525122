{{- define "digitserve.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: a StatefulSet of its name with -retraining may have at most 52. */}}
{{- define "digitserve.fullname" -}}
{{- $name := include "digitserve.name" . -}}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $default .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the pods of a component: (list $ "service") */}}
{{- define "digitserve.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "digitserve.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "digitserve.labels" -}}
{{- $root := index . 0 -}}
{{ include "digitserve.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- with $root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image with its digest or tag: (list $ .Values.image) */}}
{{- define "digitserve.image" -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* A setting as text. Helm reads numbers as floats, which print as 2.68435456e+08. */}}
{{- define "digitserve.text" -}}
{{- kindIs "string" . | ternary . (toJson .) -}}
{{- end -}}

{{/* Bytes of a quantity such as 1Gi. */}}
{{- define "digitserve.bytes" -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "k" 1000 "M" 1000000 "G" 1000000000 "" 1 -}}
{{- $unit := regexReplaceAll "^[0-9]+" (toString .) "" -}}
{{- if not (hasKey $units $unit) -}}
{{- fail (printf "resources.limits.memory is %s: write whole numbers of Ki, Mi, Gi, k, M or G" .) -}}
{{- end -}}
{{- mul (trimSuffix $unit (toString .) | int64) (get $units $unit) -}}
{{- end -}}

{{/* Seconds from SIGTERM until Kubernetes kills the container. */}}
{{- define "digitserve.grace" -}}
{{- $settings := .Values.settings -}}
{{- $drain := hasKey $settings "DRAIN_SECONDS" | ternary $settings.DRAIN_SECONDS 5 -}}
{{- $timeout := hasKey $settings "REQUEST_TIMEOUT" | ternary $settings.REQUEST_TIMEOUT 5 -}}
{{- addf $drain $timeout 10 | ceil | int -}}
{{- end -}}

{{- define "digitserve.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "digitserve.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* resources with the GPU: (list .Values.resources .Values.gpu.resource) */}}
{{- define "digitserve.resources" -}}
{{- $resources := deepCopy (index . 0) -}}
{{- with index . 1 -}}
{{- $_ := set $resources "limits" (merge (dict . 1) ($resources.limits | default dict)) -}}
{{- end -}}
{{ toYaml $resources }}
{{- end -}}

{{/* The images would otherwise show a container all GPUs of its node. */}}
{{- define "digitserve.noGpu" -}}
{{- if not .resource }}
- {name: NVIDIA_VISIBLE_DEVICES, value: void}
{{- end }}
{{- end -}}

{{/* Where pods run: (list $ values), of the service or of retraining. */}}
{{- define "digitserve.placement" -}}
{{- $values := index . 1 -}}
{{- with $values.gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with (index . 0).Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Variables that the service and retraining share. */}}
{{- define "digitserve.storeEnv" -}}
- name: DIGITSERVE_MODEL
  value: {{ .Values.model | quote }}
- name: DIGITSERVE_MODELS
  value: {{ .Values.models.url | default "/models" | quote }}
{{- if .Values.models.url }}
- name: DIGITSERVE_MODELS_CACHE
  value: /cache
{{- end }}
{{- if .Values.feedback.claim }}
- name: DIGITSERVE_FEEDBACK
  value: /feedback
{{- end }}
{{- $variables := dict "trustedKeys" "DIGITSERVE_TRUSTED_KEYS" "jobs" "DIGITSERVE_JOBS" }}
{{- include "digitserve.secretEnv" (list . $variables) }}
{{- end -}}

{{/* Variables from Secrets: (list $ (dict "name in values" "VARIABLE")) */}}
{{- define "digitserve.secretEnv" -}}
{{- $secrets := (index . 0).Values.secrets }}
{{- range $name, $variable := index . 1 }}
{{- $secret := index $secrets $name }}
{{- if $secret.name }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* The store, the cache and the corrections as volumes. */}}
{{- define "digitserve.storeVolumes" -}}
{{- if .Values.models.url }}
- name: cache
  emptyDir: {sizeLimit: {{ .Values.models.cacheSize }}}
{{- else if .Values.models.claim.name }}
- name: models
  persistentVolumeClaim: {claimName: {{ .Values.models.claim.name }}}
{{- else }}
- name: models
  emptyDir: {}
{{- end }}
{{- with .Values.feedback.claim }}
- name: feedback
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end -}}

{{/* The mounts of storeVolumes: (list $ "is the store read-only?") */}}
{{- define "digitserve.storeMounts" -}}
{{- $values := (index . 0).Values }}
{{- if $values.models.url }}
- {name: cache, mountPath: /cache}
{{- else }}
- name: models
  mountPath: /models
  readOnly: {{ index . 1 }}
  {{- with $values.models.claim.subPath }}
  subPath: {{ . }}
  {{- end }}
{{- end }}
{{- if $values.feedback.claim }}
- {name: feedback, mountPath: /feedback}
{{- end }}
{{- end -}}

{{/* NetworkPolicy rules for what the service and retraining both reach. */}}
{{- define "digitserve.dns" -}}
- to:
    - namespaceSelector: {}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{- define "digitserve.storeEgress" -}}
{{- $policy := .Values.networkPolicy }}
{{- if .Values.models.url }}
- ports: [{protocol: TCP, port: {{ $policy.objectStorePort }}}]
{{- end }}
{{- if .Values.secrets.jobs.name }}
- ports: [{protocol: TCP, port: {{ $policy.databasePort }}}]
{{- end }}
{{- end -}}

{{/* PromQL of the autoscaler, over the replicas of this release. */}}
{{- define "digitserve.scaleSelector" -}}
namespace="{{ .Release.Namespace }}", service="{{ include "digitserve.fullname" . }}"
{{- end -}}

{{/* 0 where a replica is up and has answered no prediction yet; nothing where none is up. */}}
{{- define "digitserve.requestRate" -}}
{{- $selector := include "digitserve.scaleSelector" . -}}
sum(rate(digitserve_http_requests_total{ {{- $selector }}, method="POST", route=~"/v1/predict|/v2/.*/infer"}[1m])) or 0 * count(up{ {{- $selector -}} } == 1)
{{- end -}}

{{- define "digitserve.waitingImages" -}}
sum(rate(digitserve_queue_wait_seconds_sum{ {{- include "digitserve.scaleSelector" . -}} }[1m]))
{{- end -}}

{{/* Variables of the service alone. */}}
{{- define "digitserve.serviceEnv" -}}
{{- $variables := dict "adminToken" "DIGITSERVE_ADMIN_TOKEN" "apiKeys" "DIGITSERVE_API_KEYS" }}
{{- include "digitserve.secretEnv" (list . $variables) }}
{{- if .Values.peers.enabled }}
- name: DIGITSERVE_PEERS
  value: {{ include "digitserve.fullname" . }}-replicas:8000
{{- end }}
{{- if and .Values.gpu.resource (not .Values.settings.PROVIDER) }}
- {name: DIGITSERVE_PROVIDER, value: cuda}
{{- end }}
{{- if and (dig "requests" "cpu" "" .Values.resources) (not .Values.settings.THREADS) }}
# Without it there would be as many as the node has cores.
- name: DIGITSERVE_THREADS
  valueFrom:
    resourceFieldRef: {resource: requests.cpu, divisor: "1"}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: DIGITSERVE_{{ $name }}
  value: {{ include "digitserve.text" $value | quote }}
{{- end }}
{{- end -}}
