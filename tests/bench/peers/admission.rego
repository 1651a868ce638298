# The four things that the webhook's built-in policy denies, as somebody would write them for Open Policy Agent.
package system

main := {
	"apiVersion": "admission.k8s.io/v1",
	"kind": "AdmissionReview",
	"response": response,
}

response := {"uid": input.request.uid, "allowed": true} if count(deny) == 0

response := {
	"uid": input.request.uid,
	"allowed": false,
	"status": {"code": 403, "message": concat(" | ", deny)},
} if count(deny) > 0

spec := input.request.object.spec

project := data.fleet.projects[spec.project]

cluster := data.fleet.clusters[spec.destination.name]

judged if {
	input.request.kind.kind == "Application"
	input.request.operation == "CREATE"
}

judged if {
	input.request.kind.kind == "Application"
	input.request.operation == "UPDATE"
	spec != input.request.oldObject.spec
}

production if cluster.labels.environment == "prod"

production if endswith(spec.project, "-prod")

deny contains "auto-syncs production" if {
	judged
	production
	spec.syncPolicy.automated
	object.get(spec.syncPolicy.automated, "enabled", true)
}

deny contains "an autoscaler's replicas are overwritten by every sync" if {
	judged
	production
	not replicas_ignored
}

replicas_ignored if {
	some entry in spec.ignoreDifferences
	entry.group == "apps"
	entry.kind == "Deployment"
	"/spec/replicas" in entry.jsonPointers
}

deny contains sprintf("there is no AppProject %s", [spec.project]) if {
	judged
	not project
}

deny contains sprintf("there is no cluster %s", [spec.destination.name]) if {
	judged
	not cluster
}

deny contains sprintf("AppProject %s does not permit %s", [spec.project, spec.source.repoURL]) if {
	judged
	project
	not source_permitted
}

source_permitted if {
	some pattern in project.sourceRepos
	glob.match(pattern, ["/"], spec.source.repoURL)
}

deny contains sprintf("AppProject %s does not permit namespace %s", [spec.project, spec.destination.namespace]) if {
	judged
	project
	not destination_permitted
}

destination_permitted if {
	some destination in project.destinations
	glob.match(destination.name, [], spec.destination.name)
	glob.match(destination.namespace, [], spec.destination.namespace)
}

deny contains "holds a bearer token" if {
	input.request.kind.kind == "Secret"
	input.request.object.metadata.labels["argocd.argoproj.io/secret-type"] == "cluster"
	config := json.unmarshal(base64.decode(input.request.object.data.config))
	config.bearerToken != ""
}
