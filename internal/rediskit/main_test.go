package rediskit_test

import (
	"testing"

	"github.com/rtfm-si/gavel/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }
