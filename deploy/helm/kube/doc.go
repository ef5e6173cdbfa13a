// Package kube has a real API server take the Helm chart beside it: kube-apiserver
// and etcd, built of Kubernetes' own published modules, on loopback. It is a module
// of its own, so that Kubernetes builds with the versions that it names, and
// nothing of it is what Gavel depends on. make kube runs it.
//
// Each set of values is installed by Helm, upgraded and uninstalled, in a namespace
// whose pods must be restricted, with KEDA's and the Prometheus operator's
// definitions in place. The pods of every Deployment are created, so that admission
// judges them. A worker's service account is asked what it may.
//
// No kubelet runs, no controller and no network: no container starts, nothing is
// scaled or scraped.
//
// # Files
//
//	server_test.go   etcd, kube-apiserver, and who asks it
//	chart_test.go    what it takes
//	rights_test.go   what a worker may
package kube
