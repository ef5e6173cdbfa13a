// Package pod tells Kubernetes how dear it would be to delete the pod that a
// worker runs in, so that a scale-in takes idle workers before busy ones: it
// keeps the annotation controller.kubernetes.io/pod-deletion-cost of that pod
// and of no other.
//
// It is off unless a pod is named. It asks the API server with the pod's own
// token, by the standard library: one PATCH of one annotation does not need the
// client library and its tens of megabytes. The patch goes to the pod's status,
// through which no image and no command can be changed, so that this is all the
// right a worker has to be given.
//
// # What it must never do
//
//   - Stand in anybody's way. It runs beside the worker, reads a number, holds no
//     lock, and no call outlives its context: an API server that hangs costs a
//     kill, a beat or a drain nothing.
//   - Burden the API server. A cost has five levels, is written when the level
//     has changed and then at most once per tick (15 s, jittered by half); what
//     fails is tried again at most every five minutes.
//
// A cost that is not written is a job handed back that need not have been: the
// drain sees to the rest.
package pod
