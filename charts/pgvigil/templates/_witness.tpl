{{- define "pgvigil.witnessConfig" -}}
{{ include "pgvigil.config" . }}
pgvigil:
  guard:
    etcd_socket: /run/pgvigil/etcd.sock
  state_dir: /var/lib/etcd/pgvigil
  etcd: {{ include "pgvigil.etcdMembers" . | nindent 4 }}
{{- end }}

{{- define "pgvigil.witnessTemplate" -}}
metadata:
  labels:
    {{- include "pgvigil.labels" . | nindent 4 }}
    app.kubernetes.io/component: witness
    pgvigil/member: "true"
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- include "pgvigil.podAnnotations" (dict "root" . "container" "sidecar" "volumes" "run,tmp,etcd"
        "config" (include "pgvigil.witnessConfig" .)) | nindent 4 }}
spec:
  hostname: {{ .Release.Name }}-witness
  subdomain: {{ .Release.Name }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  securityContext: {{ include "pgvigil.podSecurity" . | nindent 4 }}
  {{- include "pgvigil.affinity" (dict "root" . "components" (list "data" "witness") "after" (printf "%s-1" .Release.Name)) | nindent 2 }}
  {{- include "pgvigil.placement" . | nindent 2 }}
  {{- /* It has no data: elsewhere it is as good as here, soon. */}}
  tolerations:
    - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
    - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
    {{- with .Values.tolerations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  initContainers:
    {{- include "pgvigil.init" . | nindent 4 }}
    {{- include "pgvigil.etcd" . | nindent 4 }}
  containers:
    - name: sidecar
      image: {{ .Values.sidecar.image }}
      imagePullPolicy: {{ .Values.imagePullPolicy }}
      command: [pgvigil-guard, --supervise, --grace, "30", --, pgvigil-sidecar, --witness, /etc/pgvigil/pgvigil.yml]
      env:
        - {name: PGVIGIL_NAME, value: {{ .Release.Name }}-witness}
        - {name: PGVIGIL_RESTAPI_CONNECT_ADDRESS, value: "{{ .Release.Name }}-witness.{{ include "pgvigil.domain" . }}:8008"}
        {{- include "pgvigil.secretEnv" (dict "root" . "name" "PGVIGIL_RESTAPI_PASSWORD" "key" "restapi-password") | nindent 8 }}
      ports:
        - {name: rest, containerPort: 8008}
      {{- include "pgvigil.probes" . | nindent 6 }}
      securityContext: {{ include "pgvigil.security" . | nindent 8 }}
      resources: {{ toYaml .Values.sidecar.resources | nindent 8 }}
      volumeMounts:
        - {name: run, mountPath: /run/pgvigil}
        - {name: tmp, mountPath: /tmp, subPath: sidecar}
        - {name: config, mountPath: /etc/pgvigil/pgvigil.yml, subPath: witness.yml, readOnly: true}
        - {name: etcd, mountPath: /var/lib/etcd}
        {{- include "pgvigil.names" . | nindent 8 }}
        {{- include "pgvigil.tlsMount" . | nindent 8 }}
  volumes:
    - name: run
      emptyDir: {medium: Memory, sizeLimit: 16Mi}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    - name: etcd
      emptyDir: {sizeLimit: 2Gi}
    - name: config
      configMap: {name: {{ .Release.Name }}-config}
    {{- include "pgvigil.tlsVolume" . | nindent 4 }}
{{- end }}
