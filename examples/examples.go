package examples

import (
	"embed"
	"encoding/json"
	"fmt"
)

//go:embed *.json
var files embed.FS

// Problem is the input of a deliberation: the file of that name, without .json.
func Problem(name string) (json.RawMessage, error) {
	raw, err := files.ReadFile(name + ".json")
	if err != nil {
		return nil, fmt.Errorf("example problem: %w", err)
	}
	return raw, nil
}
