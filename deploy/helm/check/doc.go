// Package check holds the Helm chart beside it to Kubernetes. It is a module of its
// own, so that Helm's and Kubernetes's code is nothing that Gavel depends on, and
// knows nothing of Gavel's code: make chart runs it. cmd/internal/deployment holds
// the chart to the binaries.
//
// Each set of values (the chart's own, and deploy/helm/gavel/ci) is linted and
// rendered by Helm's own packages, and every document is decoded strictly into
// the API types that Kubernetes and the Prometheus operator publish; a ScaledObject
// is held to KEDA's definition. A field that is not there, or twice, is an error. No cluster is asked: what an
// API server finds beyond that is found by package kube, beside this one.
//
// The time a pod is given to end is reckoned from what it is told.
//
// # Files
//
//	render_test.go      the chart with a set of values, linted and decoded
//	values_test.go      values that are refused, and what is said
//	pods_test.go        what pods are told, and the time they are given
//	keda_test.go        a ScaledObject is what KEDA takes
//	scale_test.go       what is scaled on, and who goes first
//	manifests_test.go   deploy/kubernetes is the chart, rendered
package check
