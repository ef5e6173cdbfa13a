//go:build unix && !linux

package process

import "testing"

func below(*testing.T) []string { return nil }
