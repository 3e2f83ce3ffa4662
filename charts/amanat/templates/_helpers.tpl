{{- define "amanat.selector" -}}
app.kubernetes.io/name: amanat
app.kubernetes.io/component: operator
{{- end }}

{{- define "amanat.labels" -}}
{{ include "amanat.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "amanat.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Sets a parameter of a control of a baseline: (list BASELINE ID NAME VALUE). */ -}}
{{- define "amanat.baseline.param" -}}
{{- $id := index . 1 -}}
{{- $name := index . 2 -}}
{{- $value := index . 3 -}}
{{- range (index . 0).spec.controls -}}
{{- if eq .id $id -}}
{{- $_ := set . "params" (set (.params | default dict) $name $value) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The shipped baseline with the values merged in, as YAML. */ -}}
{{- define "amanat.baseline" -}}
{{- $values := .Values.baseline -}}
{{- $baseline := .Files.Get "files/baseline.yaml" | fromYaml -}}
{{- $spec := $baseline.spec -}}
{{- $classes := list -}}
{{- range $spec.classes -}}{{- $classes = append $classes .name -}}{{- end -}}
{{- if not $values.registries -}}
{{- fail "\n\nbaseline.registries is empty: name the registries that images may come from, for instance\n  --set 'baseline.registries={registry.example.gov.pk}'\nor bring your own SecurityBaseline with --set baseline.create=false" -}}
{{- end -}}
{{- $_ := set $spec "catalogue" ($values.catalogue | default .Chart.AppVersion) -}}
{{- range $field := list "undeclared" "graceOnSuspension" "graceOnRaise" "podSecurityVersion" "rollout" -}}
{{- if index $values $field -}}{{- $_ := set $spec $field (index $values $field) -}}{{- end -}}
{{- end -}}
{{- range $field := list "administrators" "approvers" "restorers" -}}
{{- if hasKey $values $field -}}{{- $_ := set $spec $field (dict "groups" (index $values $field)) -}}{{- end -}}
{{- end -}}
{{- include "amanat.baseline.param" (list $baseline "image/approved-registries" "registries" $values.registries) -}}
{{- range $field := list "gateways" "apiServerCIDRs" "scrapeFrom" "dns" -}}
{{- if hasKey $values $field -}}
{{- include "amanat.baseline.param" (list $baseline "network/default-deny" $field (index $values $field)) -}}
{{- end -}}
{{- end -}}
{{- $changes := deepCopy $values.controls -}}
{{- range $class, $registries := $values.registriesByClass -}}
{{- $param := dict "paramsByClass" (dict $class (dict "registries" $registries)) -}}
{{- $changes = mustMergeOverwrite $changes (dict "image/approved-registries" $param) -}}
{{- end -}}
{{- $controls := list -}}
{{- $known := list -}}
{{- range $spec.controls -}}
{{- $known = append $known .id -}}
{{- $controls = append $controls (mustMergeOverwrite . (index $changes .id | default dict)) -}}
{{- end -}}
{{- range $id, $change := $changes -}}
{{- range $class := concat (keys ($change.effects | default dict)) (keys ($change.paramsByClass | default dict)) -}}
{{- if not (has $class $classes) -}}
{{- fail (printf "\n\nbaseline values for %s: there is no class %s; the classes are %s" $id $class (join ", " $classes)) -}}
{{- end -}}
{{- end -}}
{{- if not (has $id $known) -}}
{{- if not $values.catalogue -}}
{{- fail (printf "\n\nbaseline.controls: there is no control %s; the controls are %s" $id (join ", " $known)) -}}
{{- end -}}
{{- $controls = append $controls (mustMergeOverwrite (dict "id" $id) $change) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $spec "controls" $controls -}}
{{- $labels := include "amanat.labels" . | fromYaml -}}
{{- $_ := set $baseline.metadata "labels" $labels -}}
{{- $_ := set $baseline.metadata "annotations" (dict "helm.sh/resource-policy" "keep") -}}
{{- toYaml $baseline -}}
{{- end }}
