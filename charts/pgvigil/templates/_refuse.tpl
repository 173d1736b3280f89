{{/* What the schema cannot see: values that contradict each other, or what is installed. */}}
{{- define "pgvigil.refuse" -}}
{{- if gt (len .Release.Name) 40 }}
{{- fail (printf "release name %q: 40 letters at most, since names of pods and Services are made from it" .Release.Name) }}
{{- end }}
{{- if regexMatch ":latest$|^[^:@]+$" .Values.postgres.image }}
{{- fail (printf "postgres.image %q: name an exact tag or a digest; a tag that moves changes the C library, and with it the order of text in indexes" .Values.postgres.image) }}
{{- end }}
{{- range $name := list "synchronous_standby_names" "primary_conninfo" "primary_slot_name" "hot_standby" "wal_level"
    "cluster_name" "port" "listen_addresses" "data_directory" "unix_socket_directories" "allow_alter_system" }}
{{- if hasKey $.Values.postgresql.parameters $name }}
{{- fail (printf "postgresql.parameters.%s: the cluster sets this itself; take it out" $name) }}
{{- end }}
{{- end }}
{{- if and (ne .Values.restapi.verifyClient "none") (not (include "pgvigil.tls" .)) }}
{{- fail (printf "restapi.verifyClient=%s: wants TLS; set tls.mode to make or given" .Values.restapi.verifyClient) }}
{{- end }}
{{- with .Values.etcd.external }}
{{- if and (or .secret .clientCertificate) (not .endpoints) }}
{{- fail "etcd.external: a secret without endpoints; the built-in etcd makes its own certificates (tls.mode)" }}
{{- end }}
{{- if and .clientCertificate (not .secret) }}
{{- fail "etcd.external.clientCertificate: wants etcd.external.secret with ca.crt, tls.crt and tls.key" }}
{{- end }}
{{- end }}
{{- if and .Values.rolloutHook.enabled (eq (int .Values.controller.replicas) 0) }}
{{- fail "rolloutHook.enabled: wants a controller, since it is the one that rolls; set controller.replicas to 1 or 2" }}
{{- end }}
{{- if and (eq .Values.routing "slice") (eq .Values.service.type "ExternalName") }}
{{- fail "routing=slice and service.type=ExternalName exclude each other" }}
{{- end }}
{{- $installed := lookup "apps/v1" "StatefulSet" .Release.Namespace .Release.Name }}
{{- range $claim := (($installed.spec).volumeClaimTemplates) }}
{{- $wanted := get $.Values.storage $claim.metadata.name }}
{{- $size := ternary (ternary "2Gi" "512Mi" (eq $claim.metadata.name "data")) $wanted.size (eq $.Values.topology "laptop") }}
{{- if ne $size $claim.spec.resources.requests.storage }}
{{- fail (printf "storage.%s.size: is %s in the installed StatefulSet, and Kubernetes does not change it there. Enlarge the claims (kubectl patch pvc), then `kubectl delete statefulset %s --cascade=orphan` and upgrade again" $claim.metadata.name $claim.spec.resources.requests.storage $.Release.Name) }}
{{- end }}
{{- end }}
{{- end }}
