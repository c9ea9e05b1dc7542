package agent

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLogShowsSeveralLinesAsLines(t *testing.T) {
	var b bytes.Buffer
	log := newLogger(&b, newLogLevel(3), plainFormat)
	log.WithValues("app", "shop", "of", "a\nb").Error(errors.New("why"), "cannot start",
		"appMessage", "Traceback:\n\tFile \"x\"\ntime=1 level=ERROR msg=forged\x1b[31m\n", "advice", "one line", "none",
		"")
	_, record, _ := strings.Cut(b.String(), " ")
	require.Equal(t, `level=ERROR msg="cannot start" app=shop err=why advice="one line" none=""
  of:
  | a
  | b
  appMessage:
  | Traceback:
  |     File "x"
  | time=1 level=ERROR msg=forged\x1b[31m
`, record)

	b.Reset()
	log.Error(errors.Join(errors.New("one"), errors.New("two")), "both")
	require.True(t, strings.HasSuffix(b.String(), "msg=both\n  err:\n  | one\n  | two\n"), b.String())

	b.Reset()
	log.V(1).Info("not shown", "a", "b\nc")
	require.Empty(t, b.String())
}
