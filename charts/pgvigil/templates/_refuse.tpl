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
{{- if and (eq .Values.routing "slice") (ne (int .Values.service.port) 5432) }}
{{- fail (printf "service.port=%d: with routing=slice the Service has the port of PostgreSQL, 5432; take routing=label for another" (int .Values.service.port)) }}
{{- end }}
{{- include "pgvigil.refuseStorage" . }}
{{- end }}

{{/* Kubernetes takes no change of a StatefulSet's claims, and does not say what to do. */}}
{{- define "pgvigil.refuseStorage" -}}
{{- $name := .Release.Name }}
{{- $installed := lookup "apps/v1" "StatefulSet" .Release.Namespace $name }}
{{- if $installed }}
{{- $had := dict }}
{{- range $claim := $installed.spec.volumeClaimTemplates }}
{{- $_ := set $had $claim.metadata.name $claim.spec }}
{{- end }}
{{- if ne (hasKey $had "wal") (ne .Values.storage.wal.size "") }}
{{- fail "storage.wal: the volume for WAL is neither added to an installed cluster nor taken away, since its data directories have their WAL where it was; install another release and move the data there" }}
{{- end }}
{{- if ne (hasKey $had "etcd") (eq (include "pgvigil.external" .) "") }}
{{- fail "etcd.external: an installed cluster does not change from its own etcd to another, nor back; install another release and move the data there" }}
{{- end }}
{{- range $volume, $spec := $had }}
{{- $wanted := get $.Values.storage $volume }}
{{- $size := include "pgvigil.claimSize" (dict "root" $ "name" $volume) }}
{{- if ne $size $spec.resources.requests.storage }}
{{- fail (printf "storage.%s.size: is %s in the installed StatefulSet, and Kubernetes does not change it there. Enlarge the claims (kubectl patch pvc %s-%s-0 and so on), then `kubectl delete statefulset %s --cascade=orphan` and upgrade again" $volume $spec.resources.requests.storage $volume $name $name) }}
{{- end }}
{{- if ne (default "" $wanted.storageClass) (default "" $spec.storageClassName) }}
{{- fail (printf "storage.%s.storageClass: is %q in the installed StatefulSet, and volumes do not change it. `kubectl delete statefulset %s --cascade=orphan`, upgrade again, then give up one member after the other, standbys first: kubectl delete pvc data-POD etcd-POD --wait=false; kubectl delete pod POD" $volume (default "" $spec.storageClassName) $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
