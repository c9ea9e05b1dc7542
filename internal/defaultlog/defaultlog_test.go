package defaultlog_test

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/defaultlog"
)

// setDefault makes a buffer the log of the program for the time of the test.
func setDefault(t *testing.T) *bytes.Buffer {
	t.Helper()
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	out := &bytes.Buffer{}
	slog.SetDefault(slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}

			return a
		},
	})))

	return out
}

func TestZeroLoggerPassesOnWhatGoesWrong(t *testing.T) {
	log := defaultlog.Or(logr.Logger{}).WithValues("app", "shop")
	out := setDefault(t) // also one that was set later

	log.Info("started")
	log.V(1).Info("a detail")
	log.Info("printed", "stream", "stdout")
	require.Empty(t, out.String())

	log.Info("Traceback", "stream", "stderr")
	slog.New(logr.ToSlogHandler(log)).Warn("ended by itself")
	log.WithName("pool").Error(errors.New("no room"), "cannot start")
	require.Equal(t, `level=INFO msg=Traceback app=shop stream=stderr
level=WARN msg="ended by itself" app=shop
level=ERROR msg="cannot start" app=shop logger=pool err="no room"
`, out.String())
}

func TestLoggersThatAreSetStay(t *testing.T) {
	out := setDefault(t)
	var own bytes.Buffer
	log := defaultlog.Or(logr.FromSlogHandler(slog.NewTextHandler(&own, nil)))
	log.Info("started")
	require.Contains(t, own.String(), "started")

	silent := defaultlog.Or(defaultlog.Silent())
	silent.Error(errors.New("no room"), "cannot start")
	require.False(t, silent.Enabled())
	require.Empty(t, out.String())
}
