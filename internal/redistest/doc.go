// Package redistest gives tests a real Redis, and takes it away from them in
// every way that a network, a process or a machine can.
//
// It is not a fake: what it hands out is a redis-server. It is for tests only;
// no product code imports it.
//
// # Which Redis
//
// The first of these that is there:
//
//  1. the server at GAVEL_TEST_REDIS_URL
//  2. a container of the image GAVEL_TEST_REDIS_IMAGE, through testcontainers
//  3. a redis-server binary on the PATH
//  4. a container of the image gavel-redis:test, when a Docker daemon answers
//     and has it (make redis-image builds it)
//
// An image is never pulled, so a test never hangs on a registry. With none of
// them the tests fail and say what to do.
//
// # Shared and own
//
// [Main] runs one server per test package; [Start] gives each test a fleet
// name of its own on it, so tests run in parallel and see only their own keys.
// A test that has to break its server takes [StartOwn], which has one for
// itself that can be killed, restarted on the same port and data, and frozen.
//
// [StartCluster] and [StartSentinel] are real topologies of such servers, with
// their faults: a node killed, frozen, restarted, a failover asked for, a slot
// moved. They are processes, whatever Redis the other tests use. What waits for
// one waits for what its nodes say of each other.
//
// # Invariants
//
// No server outlives the test process: a child is spawned from a thread that
// lives as long as the child, with the kernel told to kill it when that thread
// ends; a container is removed at the end. A server is used only after it
// proved to be the one that was started, never a stranger on the same port.
//
// # When things fail
//
// A server that does not come up fails the test with the last lines it wrote.
// A [Proxy] counts what it did, so that a test can tell a fault that was
// survived from a fault that never bit.
//
// # Files
//
//	redistest.go     Main, Start, the shared server
//	own.go           a server for one test, to be broken
//	node.go          one node of a topology
//	cluster.go       three masters with a replica each
//	move.go          a slot on its way between two of them
//	sentinel.go      a master, two replicas, three sentinels
//	find.go          which Redis
//	process.go       redis-server as a child process
//	process_linux.go ... that dies with the tests
//	process_other.go ... or does not, where no kernel helps
//	tail.go          the last lines a server wrote
//	container.go     redis-server as a container
//	proxy.go         a link that can be cut, reset, frozen, slowed
//	link.go          one connection through it
//	faults.go        the modes of a link, the replies it loses or holds
//	resp.go          where one request or reply ends
package redistest
