package control

import (
	"testing"

	"github.com/rtfm-si/gavel/internal/redistest/spec"
)

// The scripts of this room do what testdata/*.txtar says.
func TestScripts(t *testing.T) { spec.Run(t) }
