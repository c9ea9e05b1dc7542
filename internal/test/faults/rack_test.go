//go:build linux

package faults_test

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// The body of each response is closed, once, however the response ends.
// Faults: R-51.
func TestRackBodiesAreClosedOnce(t *testing.T) {
	t.Parallel()
	ruby := interpreters.Find(t, "ruby", "ruby")
	ctx := withDeadline(t)
	if exec.CommandContext(ctx, ruby, "-e", `require "rack"`).Run() != nil {
		interpreters.Missing(t, "ruby", "no Ruby that has rack")
	}

	dir, err := filepath.Abs(filepath.Join("testdata", "rack"))
	require.NoError(t, err)
	s := (&launch{app: dir, args: []string{"--ruby", ruby, "--max-pool-size", "1"}}).start(t)
	c := s.client(t)
	asked := []string{}

	ask := func(method, path string) string {
		name := fmt.Sprintf("%s%d", strings.ToLower(method)+strings.TrimPrefix(path, "/"), len(asked))
		asked = append(asked, name)
		return name
	}
	for _, path := range []string{
		"/full", "/length", "/empty", "/unmodified", "/raise", "/late", "/wrong", "/partial",
		"/hijack",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			name := ask(method, path)
			resp, err := c.Do(c.request(ctx, t, method, path+"?"+name,
				strings.NewReader(strings.Repeat("x", len(method)%4*10))))
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body) // some are cut
				_ = resp.Body.Close()
			}
		}
	}

	for i := range 6 {
		name := ask(http.MethodGet, "/endless")
		conn := s.dial(t, "GET /endless?"+name+" HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err := conn.in.ReadByte()
		require.NoError(t, err)
		conn.abort(i)
	}

	counts := map[string]bool{}
	eventually(t, func() error {
		clear(counts)

		for count := range strings.FieldsSeq(c.requireOK(t, "/counts")) {
			counts[count] = true
		}

		if len(counts) < len(asked) {
			return fmt.Errorf("%d of %d bodies were closed", len(counts), len(asked))
		}

		return nil
	})

	for _, name := range asked {
		require.True(t, counts[name+"=1"], "%s: %v", name, counts)
	}
}
