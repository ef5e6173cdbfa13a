package keyring

import (
	"testing"

	"github.com/rtfm-si/gavel/internal/redistest"
	"github.com/rtfm-si/gavel/internal/redistest/spec"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// The scripts of this room do what testdata/*.txtar says.
func TestScripts(t *testing.T) { spec.Run(t) }
