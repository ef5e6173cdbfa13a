// Package deployment holds the folder deploy/ to the product: it has tests, and
// reads rules and dashboards. What a manifest says and a binary does not know, a
// time that does not add up, a right that a Redis user has and no script needs,
// an alert that asks for a metric that nobody has, fails here.
//
// It does not start containers; scripts/deploy-smoke.sh does. The Helm chart has
// more tests beside it, in a module of their own.
//
// # The users of Redis
//
// deploy/redis/users.acl is generated from the key table, the headers and the
// bodies of the scripts: a process may write what the table says it writes, and
// give the commands that its scripts and its few direct calls give. After a
// change of these
//
//	go test ./cmd/internal/deployment -run TestUsersFile -update
//
// writes it anew; read the difference, it is a change of what a worker may do.
//
// # Invariants
//
//   - Every user of the file can do all that its process does, and a whole run
//     of a dispatcher and workers under them leaves Redis's ACL log empty.
//   - No worker can write the gate, an order, the control stream or the audit.
//   - A container is given the time that its process may take to end.
//
// # Files
//
//	rules.go          alerts, records, and what the dashboard and KEDA ask
//	rules_test.go     each asks for metrics that exist; each alert has a runbook
//	acl_test.go       the users of Redis, generated
//	users_test.go     what each user can and cannot do
//	life_test.go      a whole fleet under its users
//	manifests_test.go compose and Kubernetes: grace, restriction, secrets
//	chart_test.go     the defaults and the settings of the Helm chart
package deployment
