{{- define "gavel.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "gavel.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "gavel.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a selector names: dict "root" $ "part" "worker". */}}
{{- define "gavel.selector" -}}
app.kubernetes.io/name: {{ include "gavel.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "gavel.labels" -}}
{{ include "gavel.selector" . }}
app.kubernetes.io/part-of: gavel
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "gavel.image" -}}
{{- $image := .image -}}
{{- with .root.Values.image.registry }}{{ $image = printf "%s/%s" (trimSuffix "/" .) $image }}{{ end -}}
{{- if contains "@" $image }}{{ $image }}{{ else }}{{ printf "%s:%s" $image .root.Values.image.tag }}{{ end -}}
{{- end -}}

{{/* Nobody's root, under the restricted pod security standard. */}}
{{- define "gavel.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "gavel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* A call of Redis under way, a blocking read that ends, leaving the table. */}}
{{- define "gavel.margin" -}}5{{- end -}}

{{- define "gavel.workerGrace" -}}
{{- with .Values.worker.drain -}}
{{- add .finishSeconds .graceSeconds .settleSeconds (include "gavel.margin" $) (sub $.Values.partitions 1) -}}
{{- end -}}
{{- end -}}

{{- define "gavel.dispatcherGrace" -}}
{{- with .Values.dispatcher -}}
{{- add .preStopSeconds .shutdownSeconds (include "gavel.margin" $) -}}
{{- end -}}
{{- end -}}

{{/* The address of Redis with a user and without a password. */}}
{{- define "gavel.redisURL" -}}
{{- $url := .root.Values.redis.url -}}
{{- if and .user .root.Values.redis.passwords.secret -}}
{{- $at := splitn "://" 2 $url -}}
{{- printf "%s://%s@%s" $at._0 .user $at._1 -}}
{{- else -}}
{{- $url -}}
{{- end -}}
{{- end -}}

{{/* Variables of both processes: dict "root" $ "user" name. */}}
{{- define "gavel.env" -}}
{{- $v := .root.Values -}}
- {name: GAVEL_FLEET, value: {{ $v.fleet | quote }}}
- {name: GAVEL_PARTITIONS, value: {{ $v.partitions | int | quote }}}
- {name: GAVEL_REDIS_URL, value: {{ include "gavel.redisURL" . | quote }}}
{{- with $v.redis.sentinelMaster }}
- {name: GAVEL_REDIS_MASTER, value: {{ . | quote }}}
{{- end }}
{{- if $v.redis.cluster }}
- {name: GAVEL_REDIS_CLUSTER, value: "true"}
{{- end }}
{{- if $v.redis.passwords.secret }}
- {name: GAVEL_REDIS_PASSWORD_FILE, value: /etc/gavel/redis/password}
{{- end }}
{{- with $v.redis.users.sentinel }}
- {name: GAVEL_REDIS_SENTINEL_USER, value: {{ . | quote }}}
{{- end }}
{{- if and $v.redis.passwords.secret $v.redis.passwords.sentinelKey }}
- {name: GAVEL_REDIS_SENTINEL_PASSWORD_FILE, value: /etc/gavel/redis/sentinel}
{{- end }}
{{- if $v.redis.tls.caSecret }}
- {name: GAVEL_REDIS_CA, value: /etc/gavel/redis-ca/ca.crt}
{{- end }}
{{- if $v.redis.tls.certSecret }}
- {name: GAVEL_REDIS_CERT, value: /etc/gavel/redis-cert/tls.crt}
- {name: GAVEL_REDIS_CERT_KEY, value: /etc/gavel/redis-cert/tls.key}
{{- end }}
- {name: GAVEL_LEASE_RENEW, value: {{ printf "%ds" (int $v.lease.renewSeconds) }}}
- {name: GAVEL_LEASE_TRUST, value: {{ printf "%ds" (int $v.lease.trustSeconds) }}}
- {name: GAVEL_LEASE_TAKE, value: {{ printf "%ds" (int $v.lease.takeSeconds) }}}
- {name: GAVEL_LOG_LEVEL, value: {{ $v.log.level }}}
- {name: GAVEL_LOG_FORMAT, value: {{ $v.log.format }}}
{{- with $v.checkpoints }}
{{- if .claim }}
- {name: GAVEL_CHECKPOINTS, value: "dir:/var/lib/gavel/checkpoints"}
{{- else if .bucket }}
- {name: GAVEL_CHECKPOINTS, value: {{ .bucket | quote }}}
{{- with .endpoint }}
- {name: GAVEL_CHECKPOINTS_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- with .region }}
- {name: GAVEL_CHECKPOINTS_REGION, value: {{ . | quote }}}
{{- end }}
{{- if .secret }}
- {name: GAVEL_CHECKPOINTS_KEY_FILE, value: /etc/gavel/checkpoints/key}
{{- end }}
{{- end }}
{{- end }}
{{- if $v.canary }}
- {name: GAVEL_CANARY, value: "true"}
{{- end }}
{{- if $v.metrics.enabled }}
- {name: GAVEL_PRIVATE_LISTEN, value: {{ printf "0.0.0.0:%d" (int $v.metrics.port) | quote }}}
{{- end }}
{{- end -}}

{{- define "gavel.mounts" -}}
{{- with .Values.redis }}
{{- if .passwords.secret }}
- {name: redis-password, mountPath: /etc/gavel/redis, readOnly: true}
{{- end }}
{{- if .tls.caSecret }}
- {name: redis-ca, mountPath: /etc/gavel/redis-ca, readOnly: true}
{{- end }}
{{- if .tls.certSecret }}
- {name: redis-cert, mountPath: /etc/gavel/redis-cert, readOnly: true}
{{- end }}
{{- end }}
{{- with .Values.checkpoints }}
{{- if .claim }}
- {name: checkpoints, mountPath: /var/lib/gavel/checkpoints}
{{- else if and .bucket .secret }}
- {name: checkpoints-key, mountPath: /etc/gavel/checkpoints, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{/* dict "root" $ "key" the password's key. A pod sees its own password, and the sentinels'. */}}
{{- define "gavel.volumes" -}}
{{- with .root.Values.redis }}
{{- if .passwords.secret }}
- name: redis-password
  secret:
    secretName: {{ .passwords.secret }}
    defaultMode: 0440
    items: [{key: {{ $.key }}, path: password}{{ with .passwords.sentinelKey }}, {key: {{ . }}, path: sentinel}{{ end }}]
{{- end }}
{{- with .tls.caSecret }}
- name: redis-ca
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- with .tls.certSecret }}
- name: redis-cert
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- with .root.Values.checkpoints }}
{{- if .claim }}
- name: checkpoints
  persistentVolumeClaim: {claimName: {{ .claim }}}
{{- else if and .bucket .secret }}
- name: checkpoints-key
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items: [{key: {{ .key }}, path: key}]
{{- end }}
{{- end }}
{{- end -}}

{{/* The variables that somebody adds. */}}
{{- define "gavel.settings" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end -}}

{{/* Spread over hosts and zones: dict "root" $ "part" … "given" constraints. */}}
{{- define "gavel.spread" -}}
{{- if .given -}}
{{ toYaml .given }}
{{- else -}}
{{- $of := . -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "gavel.selector" $of | nindent 6 }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Where pods go: the values of a part. */}}
{{- define "gavel.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "gavel.pull" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Ports of a NetworkPolicy. */}}
{{- define "gavel.ports" -}}
{{- range . }}
- {protocol: TCP, port: {{ int . }}}
{{- end }}
{{- end -}}
