{{/* The local file of a data pod. */}}
{{- define "pgvigil.dataConfig" -}}
{{ include "pgvigil.dataOwn" . }}
bootstrap:
  dcs: {{ include "pgvigil.settings" . | nindent 4 }}
  initdb: {{ toYaml .Values.postgresql.initdb | nindent 4 }}
    {{- if .Values.storage.wal.size }}
    - waldir: /var/lib/postgresql/wal/pg_wal
    {{- end }}
  {{- if .Values.postgresql.database }}
  post_bootstrap: /bin/sh /etc/pgvigil/first.sh
  {{- end }}
{{- end }}

{{/* What a sidecar reads of it whenever it starts, not only in a new cluster. */}}
{{- define "pgvigil.dataOwn" -}}
{{ include "pgvigil.config" . }}
postgresql:
  listen: "*:5432"
  data_dir: /var/lib/postgresql/data/pgdata
  bin_dir: {{ .Values.postgres.binDir }}
  use_unix_socket: true
  parameters: {unix_socket_directories: /var/run/postgresql}
  authentication:
    superuser: {username: postgres}
    replication: {username: replicator{{ if include "pgvigil.tls" . }}, sslmode: verify-full, sslrootcert: /etc/pgvigil/tls/ca.crt{{ end }}}
    rewind: {username: rewinder{{ if include "pgvigil.tls" . }}, sslmode: verify-full, sslrootcert: /etc/pgvigil/tls/ca.crt{{ end }}}
  {{- if .Values.storage.wal.size }}
  basebackup: [{waldir: /var/lib/postgresql/wal/pg_wal}]
  {{- end }}
{{- with .Values.tags }}
tags: {{ toYaml . | nindent 2 }}
{{- end }}
pgvigil:
  guard:
    postgres_socket: /run/pgvigil/postgres.sock
    etcd_socket: /run/pgvigil/etcd.sock
  cpu_limited: {{ if (((.Values.postgres.resources).limits).cpu) }}true{{ else }}false{{ end }}
  {{- if not (include "pgvigil.external" .) }}
  etcd: {{ include "pgvigil.etcdMembers" . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Run once in a new cluster, in the container of Postgres; $1 is a connection string. */}}
{{- define "pgvigil.first" -}}
set -eu
psql -X -q -v ON_ERROR_STOP=1 "$1" <<'SQL'
\set name `cat /etc/pgvigil/app/user`
\set password `cat /etc/pgvigil/app/password`
\set db `cat /etc/pgvigil/app/dbname`
SET log_statement = 'none';
SET log_min_duration_statement = -1;
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"db" OWNER :"name";
{{- if .Values.postgresql.initSQL }}
\connect :"db"
SET ROLE :"name";
\ir /etc/pgvigil/init.sql
{{- end }}
SQL
{{- end }}

{{- define "pgvigil.dataTemplate" -}}
metadata:
  labels:
    {{- include "pgvigil.labels" . | nindent 4 }}
    app.kubernetes.io/component: data
    pgvigil/member: "true"
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- include "pgvigil.podAnnotations" (dict "root" . "container" "postgres" "volumes" "run,tmp,socket,shm"
        "config" (include "pgvigil.dataOwn" .)) | nindent 4 }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext: {{ include "pgvigil.podSecurity" . | nindent 4 }}
  {{- include "pgvigil.affinity" (dict "root" . "components" (list "data" "witness")) | nindent 2 }}
  {{- include "pgvigil.placement" . | nindent 2 }}
  {{- with .Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  initContainers:
    {{- include "pgvigil.init" . | nindent 4 }}
    {{- if not (include "pgvigil.external" .) }}
    {{- include "pgvigil.etcd" . | nindent 4 }}
    {{- end }}
    - name: sidecar
      image: {{ .Values.sidecar.image }}
      imagePullPolicy: {{ .Values.imagePullPolicy }}
      restartPolicy: Always
      command: [pgvigil-guard, --supervise, --grace, {{ .Values.terminationGracePeriodSeconds | quote }}, --, pgvigil-sidecar, /etc/pgvigil/pgvigil.yml]
      env:
        - name: PGVIGIL_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - {name: PGVIGIL_RESTAPI_CONNECT_ADDRESS, value: "$(PGVIGIL_NAME).{{ include "pgvigil.domain" . }}:8008"}
        - {name: PGVIGIL_POSTGRESQL_CONNECT_ADDRESS, value: "$(PGVIGIL_NAME).{{ include "pgvigil.domain" . }}:5432"}
        {{- include "pgvigil.secretEnv" (dict "root" . "name" "PGVIGIL_SUPERUSER_PASSWORD" "key" "superuser-password") | nindent 8 }}
        {{- include "pgvigil.secretEnv" (dict "root" . "name" "PGVIGIL_REPLICATION_PASSWORD" "key" "replication-password") | nindent 8 }}
        {{- include "pgvigil.secretEnv" (dict "root" . "name" "PGVIGIL_REWIND_PASSWORD" "key" "rewind-password") | nindent 8 }}
        {{- include "pgvigil.secretEnv" (dict "root" . "name" "PGVIGIL_RESTAPI_PASSWORD" "key" "restapi-password") | nindent 8 }}
        {{- include "pgvigil.externalEnv" . | nindent 8 }}
      ports:
        - {name: rest, containerPort: 8008}
      {{- include "pgvigil.probes" . | nindent 6 }}
      securityContext: {{ include "pgvigil.security" . | nindent 8 }}
      resources: {{ toYaml .Values.sidecar.resources | nindent 8 }}
      volumeMounts:
        - {name: run, mountPath: /run/pgvigil}
        - {name: tmp, mountPath: /tmp, subPath: sidecar}
        - {name: socket, mountPath: /var/run/postgresql}
        - {name: config, mountPath: /etc/pgvigil/pgvigil.yml, subPath: data.yml, readOnly: true}
        - {name: data, mountPath: /var/lib/postgresql/data}
        - {name: etcd, mountPath: /var/lib/etcd}
        {{- if .Values.storage.wal.size }}
        - {name: wal, mountPath: /var/lib/postgresql/wal}
        {{- end }}
        {{- include "pgvigil.names" . | nindent 8 }}
        {{- include "pgvigil.tlsMount" . | nindent 8 }}
        {{- include "pgvigil.externalMount" . | nindent 8 }}
  containers:
    - name: postgres
      image: {{ .Values.postgres.image }}
      imagePullPolicy: {{ .Values.imagePullPolicy }}
      command: [/run/pgvigil/guard, --socket, /run/pgvigil/postgres.sock, --lock, /var/lib/postgresql/data/pgvigil/lock, --grace, {{ .Values.terminationGracePeriodSeconds | quote }}]
      {{- with .Values.postgres.extraEnv }}
      env: {{ toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: postgres, containerPort: 5432}
      securityContext: {{ include "pgvigil.security" . | nindent 8 }}
      resources: {{ toYaml .Values.postgres.resources | nindent 8 }}
      volumeMounts:
        - {name: run, mountPath: /run/pgvigil}
        - {name: tmp, mountPath: /tmp, subPath: postgres}
        - {name: shm, mountPath: /dev/shm}
        - {name: socket, mountPath: /var/run/postgresql}
        - {name: data, mountPath: /var/lib/postgresql/data}
        {{- if .Values.storage.wal.size }}
        - {name: wal, mountPath: /var/lib/postgresql/wal}
        {{- end }}
        {{- if .Values.postgresql.database }}
        - {name: config, mountPath: /etc/pgvigil/first.sh, subPath: first.sh, readOnly: true}
        - {name: app, mountPath: /etc/pgvigil/app, readOnly: true}
        {{- if .Values.postgresql.initSQL }}
        - {name: config, mountPath: /etc/pgvigil/init.sql, subPath: init.sql, readOnly: true}
        {{- end }}
        {{- end }}
        {{- include "pgvigil.names" . | nindent 8 }}
        {{- include "pgvigil.tlsMount" . | nindent 8 }}
        {{- with .Values.postgres.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: run
      emptyDir: {medium: Memory, sizeLimit: 16Mi}
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    - name: socket
      emptyDir: {medium: Memory, sizeLimit: 1Mi}
    - name: shm
      emptyDir: {medium: Memory, sizeLimit: {{ .Values.postgres.shm }}}
    - name: config
      configMap: {name: {{ .Release.Name }}-config}
    {{- if .Values.postgresql.database }}
    - name: app
      secret: {secretName: {{ .Release.Name }}-app, defaultMode: 0440}
    {{- end }}
    {{- if include "pgvigil.external" . }}
    - name: etcd
      emptyDir: {sizeLimit: 16Mi}
    {{- end }}
    {{- include "pgvigil.tlsVolume" . | nindent 4 }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
