package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/printable"
)

// Names of files, applications and requests come from others. JSON means the same to programs.
func TestNoOutputOfACommandCommandsATerminal(t *testing.T) {
	t.Parallel()

	const commanding = "a\x7f\u0085\u009b31m\u2028\u202eb\U000e0041"
	value := map[string]string{commanding: commanding}
	body := []byte(fmt.Sprintf(`{"%s":"%s"}`, commanding, commanding))

	for name, print := range map[string]func(w io.Writer) error{
		"json":           func(w io.Writer) error { return printJSON(w, value) },
		"json of status": func(w io.Writer) error { _, err := io.WriteString(w, (&status{}).formatJSON(body)); return err },
		"json of look":   func(w io.Writer) error { return (&look{asJSON: true}).print(w, body) },
	} {
		var b strings.Builder
		require.NoError(t, print(&b), name)
		requirePrintable(t, b.String())
		require.JSONEq(t, string(body), b.String(), name)
	}

	for name, err := range map[string]error{
		"error": errors.New("cannot read " + commanding), "message": exit(2, "ERROR: %s", commanding),
	} {
		var b strings.Builder
		require.Positive(t, report(&b, "passenger", err), name)
		requirePrintable(t, b.String())
	}

	var out, errOut strings.Builder
	cmd := &cobra.Command{Use: "x", RunE: func(cmd *cobra.Command, _ []string) error {
		fmt.Fprintln(cmd.ErrOrStderr(), "a warning of "+commanding)
		return nil
	}}
	cmd.SetArgs(nil)
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	require.NoError(t, execute(context.Background(), cmd))
	require.Contains(t, errOut.String(), "a warning of a?")
	requirePrintable(t, errOut.String())
}

func requirePrintable(t *testing.T, text string) {
	t.Helper()
	require.NotEmpty(t, text)

	for _, c := range text {
		require.True(t, c == '\n' || !printable.Not(c), "%q has %q", text, c)
	}
}
