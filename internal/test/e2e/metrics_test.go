package e2e_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// figures are what /metrics has, by name and labels, without the name of the only application.
func figures(t *testing.T, s *server, address string) map[string]string {
	t.Helper()
	text := (&server{sandbox: s.sandbox, url: "http://" + address}).client(t).get(t, "/metrics").body
	all := map[string]string{}

	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			at := strings.LastIndexByte(line, ' ')
			name, labels, _ := strings.Cut(line[:at], "{")
			labels = strings.TrimSuffix(labels, "}")

			if rest, found := strings.CutPrefix(labels, `app="`); found {
				_, labels, _ = strings.Cut(rest, `"`)
			}

			all[name+"{"+strings.TrimPrefix(labels, ",")+"}"] = strings.TrimSpace(line[at:])
		}
	}

	return all
}

func TestMetricsOfARunningServer(t *testing.T) {
	t.Parallel()

	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			address := "127.0.0.1:" + freePort(t)
			args := append(testApp(t), "--metrics-address", address, "--metrics-exclude", "/healthz",
				"--min-instances", "1")
			if network == "unix" {
				args = append(args, "--socket", filepath.Join(t.TempDir(), "s"))
			}

			s := start(t, &launch{dir: t.TempDir(), args: args})
			c := s.client(t)

			for _, target := range []string{"/", "/a", "/b?x", "/healthz", "/healthz/deep"} {
				require.Equal(t, http.StatusOK, c.get(t, target).StatusCode)
			}

			var all map[string]string
			eventually(t, func() error { // a request ends after its response was read
				all = figures(t, s, address)
				if all[`passenger_app_responses_total{class="2xx"}`] != "3" ||
					all[`passenger_app_requests_active{}`] != "0" {
					return errors.New("they are not counted yet")
				}

				return nil
			})

			for name, want := range map[string]string{
				`passenger_app_requests_total{}`:                           "5",
				`passenger_app_request_duration_seconds_count{}`:           "3",
				`passenger_app_request_duration_seconds_bucket{le="+Inf"}`: "3",
				`passenger_app_request_queue_seconds_count{}`:              "3",
				`passenger_app_spawn_duration_seconds_count{}`:             "1",
				`passenger_app_spawns_total{outcome="success"}`:            "1",
				`passenger_app_health_checks_total{outcome="success"}`:     "0",
				`passenger_app_crashes_total{}`:                            "0",
				`passenger_listen_backlog{listener="http"}`:                "0",
				`passenger_app_processes{state="enabled"}`:                 "1",
				`passenger_app_limits_total{kind="request_time"}`:          "0",
				`passenger_app_restarts_total{outcome="success"}`:          "0",
				`passenger_app_body_bytes_total{direction="in"}`:           "0",
				`passenger_app_responses_total{class="5xx"}`:               "0",
				`passenger_app_responses_total{class="none"}`:              "0",
				`passenger_app_deployment_error{}`:                         "0",
			} {
				require.Equal(t, want, all[name], name)
			}

			require.NotEmpty(t, all["process_start_time_seconds{}"])
			require.NotEmpty(t, all["passenger_app_start_time_seconds{}"])
			s.stop(t)
		})
	}
}
