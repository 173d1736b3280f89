{{- define "pgvigil.domain" -}}
{{ .Release.Name }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}

{{- define "pgvigil.selector" -}}
app.kubernetes.io/name: pgvigil
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pgvigil.labels" -}}
{{ include "pgvigil.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "pgvigil.laptop" -}}
{{ if eq .Values.topology "laptop" }}true{{ end }}
{{- end }}

{{- define "pgvigil.claimSize" -}}
{{- if include "pgvigil.laptop" .root }}{{ ternary "2Gi" "512Mi" (eq .name "data") }}{{ else }}{{ get (get .root.Values.storage .name) "size" }}{{ end }}
{{- end }}

{{- define "pgvigil.external" -}}
{{ if .Values.etcd.external.endpoints }}true{{ end }}
{{- end }}

{{- define "pgvigil.tls" -}}
{{ if ne .Values.tls.mode "off" }}true{{ end }}
{{- end }}

{{- define "pgvigil.scheme" -}}
{{ if include "pgvigil.tls" . }}https{{ else }}http{{ end }}
{{- end }}

{{- define "pgvigil.ttl" -}}
{{ get (dict "fast" 3 "default" 10 "calm" 30) .Values.ttl }}
{{- end }}

{{/* The role label's key and values. */}}
{{- define "pgvigil.role" -}}
{{- $preset := get (dict "patroni" (list "role" "primary" "replica") "spilo" (list "spilo-role" "master" "replica")
    "cloudnativepg" (list "cnpg.io/instanceRole" "primary" "replica")) .root.Values.controller.labels -}}
{{ index $preset 0 }}: {{ if eq .role "primary" }}{{ index $preset 1 }}{{ else }}{{ index $preset 2 }}{{ end }}
{{- end }}

{{/* The dynamic settings that the values set: what a new cluster begins with, and what the controller keeps in force. */}}
{{- define "pgvigil.settings" -}}
{{- $mode := ternary true false (or (eq (toString .Values.synchronousMode) "on") (eq (toString .Values.synchronousMode) "true")) -}}
{{- $all := ternary "hostssl" "host" (ne .Values.tls.mode "off") -}}
{{- $hba := list "local all postgres peer" "local all all scram-sha-256"
    (printf "%s replication replicator all scram-sha-256" $all) (printf "%s all rewinder all scram-sha-256" $all)
    (printf "%s all postgres all scram-sha-256" $all) -}}
{{- $hba = concat $hba (default (list (printf "%s all all all scram-sha-256" $all)) .Values.postgresql.hba) -}}
{{- $parameters := deepCopy .Values.postgresql.parameters -}}
{{- if include "pgvigil.tls" . -}}
{{- $parameters = merge $parameters (dict "ssl" "on" "ssl_cert_file" "/etc/pgvigil/tls/tls.crt"
    "ssl_key_file" "/etc/pgvigil/tls/tls.key" "ssl_ca_file" "/etc/pgvigil/tls/ca.crt") -}}
{{- end -}}
{{- $own := dict "ttl" (include "pgvigil.ttl" . | int) "synchronous_mode" $mode
    "postgresql" (dict "use_pg_rewind" true "use_slots" true "parameters" $parameters "pg_hba" $hba) -}}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.settings)) -}}
{{- end }}

{{/* What all sidecars' files have in common. */}}
{{- define "pgvigil.config" -}}
scope: {{ .Release.Name | quote }}
log: {level: {{ .Values.sidecar.logLevel }}, type: json}
restapi:
  listen: "*:8008"
  authentication: {username: pgvigil}
  {{- if include "pgvigil.tls" . }}
  certfile: /etc/pgvigil/tls/tls.crt
  keyfile: /etc/pgvigil/tls/tls.key
  cafile: /etc/pgvigil/tls/ca.crt
  verify_client: {{ .Values.restapi.verifyClient }}
ctl:
  cacert: /etc/pgvigil/tls/ca.crt
  certfile: /etc/pgvigil/tls/tls.crt
  keyfile: /etc/pgvigil/tls/tls.key
  {{- end }}
{{- if include "pgvigil.external" . }}
etcd3:
  hosts: {{ toJson .Values.etcd.external.endpoints }}
  {{- with .Values.etcd.external.secret }}
  protocol: https
  cacert: /etc/pgvigil/etcd-tls/ca.crt
  {{- if $.Values.etcd.external.clientCertificate }}
  cert: /etc/pgvigil/etcd-tls/tls.crt
  key: /etc/pgvigil/etcd-tls/tls.key
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "pgvigil.etcdMembers" -}}
{{- $scheme := include "pgvigil.scheme" . -}}
{{- $domain := include "pgvigil.domain" . -}}
data_dir: /var/lib/etcd/data
{{- if include "pgvigil.tls" . }}
cert: /etc/pgvigil/tls/tls.crt
key: /etc/pgvigil/tls/tls.key
ca: /etc/pgvigil/tls/ca.crt
{{- end }}
members:
{{- range $name := list (printf "%s-0" .Release.Name) (printf "%s-1" .Release.Name) (printf "%s-witness" .Release.Name) }}
  - name: {{ $name }}
    peer_url: {{ $scheme }}://{{ $name }}.{{ $domain }}:2380
    client_url: {{ $scheme }}://{{ $name }}.{{ $domain }}:2379
    api_url: {{ $scheme }}://{{ $name }}.{{ $domain }}:8008
{{- end }}
{{- end }}

{{- define "pgvigil.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.podSecurityContext }}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{ $key }}: {{ $value | int64 }}
{{- end }}
{{- end }}
{{- end }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "pgvigil.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "pgvigil.affinity" -}}
{{- $kind := default (ternary "preferred" "required" (eq .root.Values.topology "laptop")) .root.Values.antiAffinity -}}
{{- if ne $kind "none" }}
affinity:
  podAntiAffinity:
    {{- if eq $kind "required" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector: {{ include "pgvigil.components" . | nindent 10 }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector: {{ include "pgvigil.components" . | nindent 12 }}
    {{- end }}
  {{- if and .after (eq $kind "required") }}
  # A volume may bind a data pod to a node, which this pod could take from it: this one is placed once the last of the
  # two is, anywhere (a scheduler counts only pods that match every term, so one name it is). While it is not, there
  # is no quorum to join.
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/os
        labelSelector:
          matchLabels: {statefulset.kubernetes.io/pod-name: {{ .after }}}
  {{- end }}
{{- end }}
{{- with .root.Values.spreadOver }}
topologySpreadConstraints:
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {{ include "pgvigil.components" $ | nindent 6 }}
{{- end }}
{{- end }}

{{- define "pgvigil.components" -}}
matchLabels: {{ include "pgvigil.selector" .root | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
{{- end }}

{{- define "pgvigil.memberPorts" -}}
- {port: 5432}
- {port: 8008}
- {port: 2379}
- {port: 2380}
{{- end }}

{{- define "pgvigil.monitoringRule" -}}
- ports:
    - {port: 8008}
  {{- with .Values.networkPolicy.monitoring }}
  from: {{ toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Each other, DNS, and what the values say. */}}
{{- define "pgvigil.egress" -}}
- to:
    - podSelector:
        matchLabels: {{ include "pgvigil.selector" . | nindent 10 }}
  ports: {{ include "pgvigil.memberPorts" . | nindent 4 }}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
    - {port: 5353, protocol: UDP} # OpenShift's
    - {port: 5353, protocol: TCP}
{{- with .Values.networkPolicy.egress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pgvigil.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The guard for the containers of other images, and the names of the uid that they all run as. */}}
{{- define "pgvigil.init" -}}
- name: prepare
  image: {{ .Values.sidecar.image }}
  imagePullPolicy: {{ .Values.imagePullPolicy }}
  command:
    - /bin/sh
    - -ec
    - |
      cp /usr/local/bin/pgvigil-guard /run/pgvigil/guard
      printf 'root:x:0:0:root:/root:/bin/sh\npostgres:x:%s:%s:PostgreSQL:/var/lib/postgresql:/bin/sh\n' "$(id -u)" "$(id -g)" >/run/pgvigil/passwd
      printf 'root:x:0:\npostgres:x:%s:\n' "$(id -g)" >/run/pgvigil/group
  securityContext: {{ include "pgvigil.security" . | nindent 4 }}
  resources: {{ toYaml .Values.sidecar.resources | nindent 4 }}
  volumeMounts:
    - {name: run, mountPath: /run/pgvigil}
{{- end }}

{{- define "pgvigil.names" -}}
- {name: run, mountPath: /etc/passwd, subPath: passwd, readOnly: true}
- {name: run, mountPath: /etc/group, subPath: group, readOnly: true}
{{- end }}

{{- define "pgvigil.etcd" -}}
- name: etcd
  image: {{ .Values.etcd.image }}
  imagePullPolicy: {{ .Values.imagePullPolicy }}
  restartPolicy: Always
  command: [/run/pgvigil/guard, --socket, /run/pgvigil/etcd.sock, --lock, /var/lib/etcd/lock, --no-deadline, --grace, {{ .Values.terminationGracePeriodSeconds | quote }}]
  ports:
    - {name: etcd, containerPort: 2379}
    - {name: etcd-peers, containerPort: 2380}
  securityContext: {{ include "pgvigil.security" . | nindent 4 }}
  resources: {{ toYaml .Values.etcd.resources | nindent 4 }}
  volumeMounts:
    - {name: run, mountPath: /run/pgvigil}
    - {name: tmp, mountPath: /tmp, subPath: etcd}
    - {name: etcd, mountPath: /var/lib/etcd}
    {{- include "pgvigil.names" . | nindent 4 }}
    {{- include "pgvigil.tlsMount" . | nindent 4 }}
{{- end }}

{{- define "pgvigil.tlsMount" -}}
{{- if include "pgvigil.tls" . }}
- {name: tls, mountPath: /etc/pgvigil/tls, readOnly: true}
{{- end }}
{{- end }}

{{/* Your own etcd: its files and its user. */}}
{{- define "pgvigil.externalMount" -}}
{{- if .Values.etcd.external.secret }}
- {name: etcd-tls, mountPath: /etc/pgvigil/etcd-tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "pgvigil.externalEnv" -}}
{{- with .Values.etcd.external.secret }}
- name: PGVIGIL_ETCD3_USERNAME
  valueFrom: {secretKeyRef: {name: {{ . }}, key: username, optional: true}}
- name: PGVIGIL_ETCD3_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ . }}, key: password, optional: true}}
{{- end }}
{{- end }}

{{- define "pgvigil.externalVolume" -}}
{{- with .Values.etcd.external.secret }}
- name: etcd-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "pgvigil.tlsVolume" -}}
{{- if include "pgvigil.tls" . }}
- name: tls
  secret: {secretName: {{ .Release.Name }}-server, defaultMode: 0440}
{{- end }}
{{- include "pgvigil.externalVolume" . }}
{{- end }}

{{- define "pgvigil.secretEnv" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .root.Release.Name }}-credentials, key: {{ .key }}}}
{{- end }}

{{- define "pgvigil.probes" -}}
livenessProbe:
  httpGet: {path: /liveness, port: rest, scheme: {{ include "pgvigil.scheme" . | upper }}}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 6
  terminationGracePeriodSeconds: 5
readinessProbe:
  httpGet: {path: /readiness, port: rest, scheme: {{ include "pgvigil.scheme" . | upper }}}
  periodSeconds: 1
  timeoutSeconds: 1
  failureThreshold: 2
{{- end }}

{{- define "pgvigil.podAnnotations" -}}
cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes: {{ .volumes }}
kubectl.kubernetes.io/default-container: {{ .container }}
pgvigil/config: {{ .config | sha256sum | trunc 16 }}
{{- with .root.Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What the controller has to bring about: the pods, and the settings, for which no pod is made anew. It compares the text
     between the objects that carry it. */}}
{{- define "pgvigil.revision" -}}
{{ printf "%s\n%s\n%s" (include "pgvigil.dataTemplate" .) (include "pgvigil.witnessTemplate" .) (include "pgvigil.settings" .)
    | sha256sum | trunc 16 }}
{{- end }}
