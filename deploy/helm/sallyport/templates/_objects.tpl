{{- define "sallyport.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* Called with (dict "root" $ "object" OBJECT): the object of kubernetes/, in the namespace of the release. */}}
{{- define "sallyport.object" -}}
{{- $_ := set .object.metadata "namespace" .root.Release.Namespace }}
{{- toYaml .object }}
{{- end }}
