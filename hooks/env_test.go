package hooks_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/hooks"
)

// seen runs the test binary as a script for e.
func (b *bench) seen(c hooks.Config, e hooks.Event) report {
	b.t.Helper()
	program, err := os.Executable()
	require.NoError(b.t, err)
	path := b.path("report")
	b.t.Setenv(reportVariable, path)
	c.Commands = map[hooks.Name]string{e.Name: program}
	require.NoError(b.t, b.scripts(c).Run(b.t.Context(), e))
	var r report
	require.NoError(b.t, json.Unmarshal([]byte(b.hear("report")), &r))
	require.Equal(b.t, []string{program}, r.Args)

	return r
}

func TestScriptInheritsNoVariablesThatAreForUs(t *testing.T) {
	t.Setenv("NODE_CHANNEL_FD", "3")
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	t.Setenv("PASSENGER_GUPID", "another server's")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "key=secret")
	t.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
	t.Setenv("AWS_PROFILE", "shop")

	r := newBench(t).seen(hooks.Config{}, hooks.Event{Name: hooks.AttachedProcess, PID: 7})
	env := strings.Join(r.env(), "\n")

	for _, name := range []string{
		"NODE_CHANNEL_FD", "NOTIFY_SOCKET", "PASSENGER_GUPID", "OTEL_EXPORTER_OTLP_HEADERS",
	} {
		require.NotContains(t, env, name+"=")
	}

	require.Contains(t, r.env(), "CREDENTIALS_DIRECTORY=/run/credentials")
	require.Contains(t, r.env(), "AWS_PROFILE=shop")
}

func TestEnvironment(t *testing.T) {
	const root, group = "/srv/shop", "shop (production)"
	for name, test := range map[string]struct {
		event hooks.Event
		vars  []string
	}{
		"attached": {
			hooks.Event{
				Name:      hooks.AttachedProcess,
				PID:       7,
				AppRoot:   root,
				GroupName: group,
			},
			[]string{"PROCESS_PID=7", "APP_ROOT=" + root, "HOOK_NAME=attached_process"},
		},
		"detached": {
			hooks.Event{
				Name:         hooks.DetachedProcess,
				PID:          7,
				AppRoot:      root,
				GroupName:    group,
				IncidentFile: "/incidents/7.json",
			},
			[]string{
				"PROCESS_PID=7",
				"APP_ROOT=" + root,
				"HOOK_NAME=detached_process",
				"INCIDENT_FILE=/incidents/7.json",
			},
		},
		"spawn failed": {
			hooks.Event{
				Name:            hooks.SpawnFailed,
				AppRoot:         root,
				GroupName:       group,
				ErrorMessage:    "no",
				ErrorID:         "abc",
				AppErrorMessage: "because",
				ErrorAdvice:     "mend it",
				ErrorReport:     "/var/r.html",
			},
			[]string{
				"APP_ROOT=" + root, "APP_GROUP_NAME=" + group, "ERROR_MESSAGE=no", "ERROR_ID=abc",
				"APP_ERROR_MESSAGE=because",
				"ERROR_ADVICE=mend it", "ERROR_REPORT=/var/r.html", "HOOK_NAME=spawn_failed",
			},
		},
		"queue full": {
			hooks.Event{
				Name:         hooks.QueueFullError,
				AppRoot:      root,
				GroupName:    group,
				ErrorMessage: "full",
				ErrorID:      "abc",
			},
			[]string{
				"APP_ROOT=" + root, "APP_GROUP_NAME=" + group, "ERROR_MESSAGE=full", "ERROR_ID=abc",
				"APP_ERROR_MESSAGE=",
				"EVENT_COUNT=1", "HOOK_NAME=queue_full_error",
			},
		},
		"queue full often": {
			hooks.Event{Name: hooks.QueueFullError, Count: 12},
			[]string{
				"APP_ROOT=", "APP_GROUP_NAME=", "ERROR_MESSAGE=", "ERROR_ID=", "APP_ERROR_MESSAGE=", "EVENT_COUNT=12",
				"HOOK_NAME=queue_full_error",
			},
		},
		"request time": {
			hooks.Event{
				Name:        hooks.MaxRequestTimeReached,
				PID:         7,
				RequestPath: "/a?b=c",
				RequestHost: "shop.example",
			},
			[]string{
				"APP_ID=7", "REQUEST_PATH=/a?b=c", "REQUEST_HOST=shop.example",
				"HOOK_NAME=max_request_time_reached",
			},
		},
		"request time without a host": {
			hooks.Event{Name: hooks.MaxRequestTimeReached, PID: 7, RequestPath: "/a"},
			[]string{"APP_ID=7", "REQUEST_PATH=/a", "HOOK_NAME=max_request_time_reached"},
		},
		"group made": {
			hooks.Event{Name: hooks.AfterInitializeSupergroup, AppRoot: root, GroupName: group},
			[]string{"APP_ROOT=" + root, "HOOK_NAME=after_initialize_supergroup"},
		},
		"group goes": {
			hooks.Event{Name: hooks.BeforeDestroySupergroup, AppRoot: root, GroupName: group},
			[]string{"APP_ROOT=" + root, "HOOK_NAME=before_destroy_supergroup"},
		},
		"watchdog": {
			hooks.Event{Name: hooks.BeforeWatchdogInitialization, AppRoot: root},
			[]string{"HOOK_NAME=before_watchdog_initialization"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			t.Setenv(reportVariable, b.path("report"))
			t.Setenv("PASSENGER_INSTANCE_DIR", "inherited")
			t.Setenv("PASSENGER_FOO", "inherited")
			want := append(os.Environ(), "PASSENGER_PASSENGER_ROOT=/opt/p", "PASSENGER_LOG_LEVEL=3",
				"PASSENGER_VERSION=1.2.3")
			want = slices.DeleteFunc(want, func(s string) bool { return s == "PASSENGER_INSTANCE_DIR=inherited" })

			want = append(want, "PASSENGER_INSTANCE_DIR=/run/p")
			for _, v := range test.vars {
				want = append(want, "PASSENGER_"+v)
			}

			// What an outer hook may have left, and what is for no other program.
			t.Setenv("PASSENGER_REQUEST_HOST", "stale")
			t.Setenv("PASSENGER_ERROR_ID", "stale")
			t.Setenv("PASSENGER_CORE_PASSWORD", "stale")
			r := b.seen(hooks.Config{
				Version: "1.2.3",
				Options: map[string]string{
					"passenger_root": "/opt/p", "log_level": "3", "instance_dir": "/run/p",
					"core_password": "x", "ust_router_secret": "x", "api_key": "x",
				},
			}, test.event)
			require.ElementsMatch(t, want, r.env())
		})
	}
}

// Faults: G5.
func TestHookVariablesAreNeverCode(t *testing.T) {
	for name, test := range map[string]struct{ value, want string }{
		"newline":     {"a\nPASSENGER_EVIL=1", "a\nPASSENGER_EVIL=1"},
		"quotes":      {`a"b'c` + "`d`", `a"b'c` + "`d`"},
		"shell":       {"; touch evil; $(touch evil) | > evil", "; touch evil; $(touch evil) | > evil"},
		"NUL":         {"a\x00PASSENGER_EVIL=1\x00", `a\x00PASSENGER_EVIL=1\x00`},
		"equals":      {"=a=b", "=a=b"},
		"not UTF-8":   {"\xff\xfe", "\xff\xfe"},
		"too long":    {strings.Repeat("é", 200<<10), strings.Repeat("é", 16<<10) + "... (376832 more bytes)"},
		"just fits":   {strings.Repeat("x", 32<<10), strings.Repeat("x", 32<<10)},
		"a cut rune":  {"x" + strings.Repeat("é", 16<<10), "x" + strings.Repeat("é", 16<<10-1) + "... (2 more bytes)"},
		"empty value": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			t.Chdir(b.dir)
			v := test.value
			r := b.seen(hooks.Config{Options: map[string]string{"option": v}}, hooks.Event{
				Name:            hooks.SpawnFailed,
				AppRoot:         v,
				GroupName:       v,
				ErrorMessage:    v,
				ErrorID:         v,
				AppErrorMessage: v,
				ErrorAdvice:     v,
				ErrorReport:     v,
			})

			n := 0
			for _, entry := range r.env() {
				variable, value, _ := strings.Cut(entry, "=")
				require.NotEqual(t, "PASSENGER_EVIL", variable)

				switch variable {
				case "PASSENGER_OPTION", "PASSENGER_APP_ROOT", "PASSENGER_APP_GROUP_NAME",
					"PASSENGER_ERROR_MESSAGE", "PASSENGER_ERROR_ID", "PASSENGER_APP_ERROR_MESSAGE",
					"PASSENGER_ERROR_ADVICE":
					n++
					require.Equal(t, test.want, value, variable)
				}
			}

			require.Equal(t, 7, n)
			require.NoFileExists(t, b.path("evil"))
		})
	}
}
