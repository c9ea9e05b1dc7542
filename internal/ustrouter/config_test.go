package ustrouter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/internal/ustrouter"
)

func TestValidate(t *testing.T) {
	const socket, collector = "/run/p/ust_router", "http://127.0.0.1:4318"
	for name, test := range map[string]struct {
		config ustrouter.Config
		faults []string
	}{
		"off":                {ustrouter.Config{}, nil},
		"a file":             {ustrouter.Config{Socket: socket, File: "/var/log/t.json"}, nil},
		"a collector":        {ustrouter.Config{Socket: socket, OTLPEndpoint: collector}, nil},
		"a collector's path": {ustrouter.Config{Socket: socket, OTLPEndpoint: "https://c.example/otlp/"}, nil},
		"headers": {ustrouter.Config{
			Socket:       socket,
			OTLPEndpoint: collector,
			OTLPHeaders:  ustrouter.Headers{"Authorization": "Bearer x"},
		}, nil},
		"no socket":     {ustrouter.Config{File: "/t.json"}, []string{"there is no socket"}},
		"only a socket": {ustrouter.Config{Socket: socket}, []string{"nowhere to pass them on to"}},
		"relative paths": {ustrouter.Config{
			Socket: "s",
			File:   "f",
		}, []string{`the path "s" of the socket`, `the path "f" of the file`}},
		"a NUL": {ustrouter.Config{
			Socket: "/s\x00",
			File:   "/f\x00",
		}, []string{"the socket for transactions contains", "the file for transactions contains"}},
		"a long socket": {ustrouter.Config{
			Socket: "/" + strings.Repeat("s", 107),
			File:   "/f",
		}, []string{"has 108 bytes"}},
		"headers without a collector": {ustrouter.Config{
			Socket:      socket,
			File:        "/f",
			OTLPHeaders: ustrouter.Headers{"A": "b"},
		}, []string{"no URL"}},
		"a queue": {ustrouter.Config{QueueLength: -1}, []string{"negative"}},
		"no URL": {ustrouter.Config{
			Socket:       socket,
			OTLPEndpoint: "http://a b",
		}, []string{"not well-formed"}},
		"another scheme": {ustrouter.Config{
			Socket:       socket,
			OTLPEndpoint: "grpc://c:4317",
		}, []string{`"grpc": use http or https`}},
		"no host": {ustrouter.Config{
			Socket:       socket,
			OTLPEndpoint: "http://:4318",
		}, []string{"names no host"}},
		"a password": {ustrouter.Config{
			Socket:       socket,
			OTLPEndpoint: "http://u:hidden@c",
		}, []string{"use the header Authorization"}},
		"a broken password": {ustrouter.Config{
			Socket:       socket,
			OTLPEndpoint: "http://u:hidden@c:port",
		}, []string{"not well-formed"}},
		"a query": {ustrouter.Config{
			Socket:       socket,
			OTLPEndpoint: "http://c?key=hidden",
		}, []string{"query"}},
		"the whole path": {ustrouter.Config{
			Socket:       socket,
			OTLPEndpoint: "http://c/v1/traces",
		}, []string{"/v1/traces, which is added"}},
		"a header's name": {
			ustrouter.Config{OTLPHeaders: ustrouter.Headers{"A B": "hidden"}},
			[]string{`"A B" cannot be`, "no URL"},
		},
		"a header's value": {
			ustrouter.Config{OTLPHeaders: ustrouter.Headers{"A": "hidden\r\nB: c"}},
			[]string{"the header A", "no URL"},
		},
		"a header of ours": {
			ustrouter.Config{OTLPHeaders: ustrouter.Headers{"content-length": "1"}},
			[]string{"content-length", "no URL"},
		},
		"a header that is it": {
			ustrouter.Config{OTLPHeaders: ustrouter.Headers{"a-b": "hidden", "A-B": "hidden"}},
			[]string{"A-B for the collector of transactions is there twice", "no URL"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.config.Validate()
			if test.faults == nil {
				require.NoError(t, err)
				return
			}

			for _, fault := range test.faults {
				require.ErrorContains(t, err, fault)
			}

			require.Len(t, strings.Split(err.Error(), "\n"), len(test.faults))
			require.NotContains(t, err.Error(), "hidden")
			_, err = ustrouter.Open(test.config, logr.Discard())
			require.Error(t, err)
			_, err = ustrouter.NewObserver(test.config, logr.Discard())
			require.Error(t, err)
		})
	}
}

func TestOff(t *testing.T) {
	var off ustrouter.Config
	require.False(t, off.Enabled())
	_, err := ustrouter.NewObserver(off, logr.Discard())
	require.ErrorContains(t, err, "nowhere")
	sinks, err := ustrouter.Open(off, logr.Discard())
	require.NoError(t, err)
	sinks.Write(&ustrouter.Transaction{})
	require.NoError(t, sinks.Reopen())
	require.Zero(t, sinks.Stats())
	require.NoError(t, sinks.Close(t.Context()))
}

func TestHeadersHideThemselves(t *testing.T) {
	c := ustrouter.Config{OTLPHeaders: ustrouter.Headers{"Authorization": "Bearer hidden", "X-Key": "hidden"}}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	var log logged.Buffer
	log.Logger().Info("settings", "headers", c.OTLPHeaders)

	for _, shown := range []string{
		fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c),
		fmt.Sprintf("%s %q %v", c.OTLPHeaders, c.OTLPHeaders, c.OTLPHeaders),
		string(text), log.String(),
	} {
		require.NotContains(t, shown, "hidden")
		require.Contains(t, shown, "X-Key")
	}
}
