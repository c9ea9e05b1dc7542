package admin

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/status"
)

// FailuresNamedIn returns the failed starts whose ids are in a text, whole, for people. What the client may not see, or
// cannot get, is left out: the text itself is shown already.
func FailuresNamedIn(ctx context.Context, client *apiserver.Client, text string) string {
	body, err := client.Get(ctx, "/pool/errors.json")
	if err != nil {
		return ""
	}

	var failures []passenger.FailedSpawn
	if json.Unmarshal(body, &failures) != nil {
		return ""
	}

	failures = slices.DeleteFunc(failures, func(f passenger.FailedSpawn) bool {
		return f.ID == "" || !strings.Contains(text, "error "+f.ID)
	})
	if len(failures) == 0 {
		return ""
	}

	var b strings.Builder
	// A buffer takes everything.
	_ = status.WriteFailedSpawns(&b, failures, status.TextOptions{})

	return b.String()
}
