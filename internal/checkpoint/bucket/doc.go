// Package bucket keeps states in a bucket of an S3-compatible store.
//
// It knows the store's protocol by a library and nothing of jobs. The library's
// hidden retries are off: the worker's runtime retries, visibly and within the
// bounds of a kill and a drain.
package bucket
