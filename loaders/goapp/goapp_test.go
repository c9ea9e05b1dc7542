package goapp

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServeFinishesRequests(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	begun := make(chan struct{})
	finish := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- serve(ctx, func() { close(stopped) }, listener,
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(begun)
				<-finish
				_, _ = io.WriteString(w, "finished")
			}))
	}()
	body := make(chan string, 1)
	go func() {
		client := http.Client{Timeout: time.Minute}
		res, err := client.Get("http://" + listener.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		body <- string(b)
	}()
	<-begun
	cancel()
	<-stopped
	close(finish)
	require.Equal(t, "finished", <-body)
	require.NoError(t, <-served)
}

func TestServeReportsFailures(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.ErrorIs(t, serve(t.Context(), func() {}, listener, http.NotFoundHandler()), net.ErrClosed)
}

func TestServeAloneNeedsItsPort(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	t.Setenv("PORT", port)
	t.Setenv("IN_PASSENGER", "")
	require.ErrorContains(t, Serve(http.NotFoundHandler()), "cannot serve on port "+port)
}

func TestServeRefusesWhatItCannotServe(t *testing.T) {
	require.ErrorContains(t, Serve(nil), "there is nothing to serve: the handler is nil")

	t.Setenv("IN_PASSENGER", "")

	for _, port := range []string{"http", "-1", "65536", "80 "} {
		t.Setenv("PORT", port)
		err := Serve(http.NotFoundHandler())
		require.ErrorContains(t, err, `PORT is "`+port+
			`", which is no port: set it to a number from 0 (any free one) to 65535`)
	}
}
