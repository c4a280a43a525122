{{/* Combinations of values that the schema cannot refuse. */}}
{{- define "digitserve.refuse" -}}
{{- $values := .Values -}}
{{- $models := $values.models -}}
{{- $claim := $models.claim -}}
{{- $sources := list $models.url $claim.name $models.image.reference | compact -}}
{{- $replicas := eq $values.autoscaling.kind "none" | ternary $values.replicas $values.autoscaling.maxReplicas -}}
{{- if ne (len $sources) 1 -}}
{{- fail (printf "the replicas need a model store, and the values name %d: set exactly one of models.url, models.claim.name and models.image.reference" (len $sources)) -}}
{{- end -}}
{{- if $claim.name -}}
{{- if and (eq $claim.accessMode "ReadWriteOnce") (gt (int $replicas) 1) -}}
{{- fail (printf "models.claim.accessMode is ReadWriteOnce, which one node can mount, and there are up to %d replicas: use a claim with ReadOnlyMany or ReadWriteMany, models.url, or one replica" (int $replicas)) -}}
{{- end -}}
{{- if and (eq $claim.accessMode "ReadOnlyMany") (not $claim.readOnly) -}}
{{- fail "models.claim.readOnly is false, and a claim with ReadOnlyMany cannot be written to: use ReadWriteMany" -}}
{{- end -}}
{{- end -}}
{{- if and (ne $values.autoscaling.kind "none") (gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is larger than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if and (eq (int $values.rollout.maxSurge) 0) (eq (int $values.rollout.maxUnavailable) 0) -}}
{{- fail "rollout.maxSurge and rollout.maxUnavailable are both 0: no pod could ever be replaced" -}}
{{- end -}}
{{- if and $values.settings.ROOT_PATH (or $values.ingress.enabled $values.httpRoute.enabled) -}}
{{- fail "settings.ROOT_PATH is set, and the chart's ingress and httpRoute do not remove a prefix: disable them and use a route of your own" -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs is empty: name the Gateway" -}}
{{- end -}}
{{- $limit := dig "limits" "cpu" "" $values.resources -}}
{{- if and $limit (ne (toString $limit) (dig "requests" "cpu" "" $values.resources | toString)) -}}
{{- fail (printf "resources.limits.cpu is %v and differs from resources.requests.cpu: a throttled replica is slow at every burst; set both to the same, or no limit" $limit) -}}
{{- end -}}
{{- if $values.retraining.enabled -}}
{{- if not $values.secrets.jobs.name -}}
{{- fail "retraining.enabled needs secrets.jobs.name: a Secret with the URL of a Postgres database" -}}
{{- end -}}
{{- if or $models.image.reference (and $claim.name (ne $claim.accessMode "ReadWriteMany")) -}}
{{- fail "retraining publishes versions: it needs models.url, or models.claim with accessMode ReadWriteMany" -}}
{{- end -}}
{{- end -}}
{{- end -}}
