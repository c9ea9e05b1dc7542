package agent

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/options"
)

const testPassword = "correct-horse-battery-staple"

func flyingConfig() *Config {
	c := DefaultFlyingConfig()
	c.SocketFile = "/run/passenger.sock"
	c.Flying.Password = testPassword

	return &c
}

// optionsFrom are pairs of names and values.
func optionsFrom(pairs ...string) (options []appOption) {
	options = []appOption{}
	for i := 0; i < len(pairs); i += 2 {
		options = append(options, appOption{pairs[i], pairs[i+1]})
	}

	return options
}

func parse(t *testing.T, server *Config, pairs ...string) handler.Config {
	t.Helper()
	c, err := newAppConfig(server, optionsFrom(append([]string{"app_root", "/srv/shop"}, pairs...)...))
	require.NoError(t, err)

	return c.handler()
}

func TestAppDefaults(t *testing.T) {
	o := parse(t, flyingConfig()).Options
	require.Equal(t, "/srv/shop", o.App.Root)
	require.Equal(t, "/srv/shop (production)", o.App.GroupName)
	require.Equal(t, "production", o.App.Environment)
	require.Equal(t, 0, o.MinProcesses)
	require.Equal(t, 0, o.MaxProcesses)
	require.Equal(t, passenger.DefaultMaxRequestQueueSize, o.MaxRequestQueueSize)
	require.Equal(t, 10*time.Second, o.StatThrottleRate)
	require.False(t, o.BlockingRestarts)
	require.True(t, o.App.LoadShellEnv)
	require.Empty(t, o.App.User)
	require.NoError(t, o.Validate())
}

func TestAppOptions(t *testing.T) {
	type check func(t *testing.T, c *handler.Config)
	is := func(want any, get func(c *handler.Config) any) check {
		return func(t *testing.T, c *handler.Config) {
			t.Helper()
			require.Equal(t, want, get(c))
		}
	}

	base64Env := base64.StdEncoding.EncodeToString([]byte("A\x00b=c\x00EMPTY\x00\x00"))
	for _, test := range []struct {
		name, value string
		check       check
	}{
		{"app_root", "/srv/shop/../shop/", is("/srv/shop", func(c *handler.Config) any { return c.Options.App.Root })},
		{"app_group_name", "shop", is("shop", func(c *handler.Config) any { return c.Options.App.GroupName })},
		{"app_env", "staging", is("staging", func(c *handler.Config) any { return c.Options.App.Environment })},
		{"rack_env", "staging", is("/srv/shop (staging)", func(c *handler.Config) any { return c.Options.App.GroupName })},
		{"rails_env", "staging", is("staging", func(c *handler.Config) any { return c.Options.App.Environment })},
		{"app_type", "rack", is("rack", func(c *handler.Config) any { return c.Options.App.Type })},
		{"startup_file", "main.py", is("main.py", func(c *handler.Config) any { return c.Options.App.StartupFile })},
		{"app_start_command", "./server -p $PORT", is([]string{"./server", "-p", "$PORT"}, func(c *handler.Config) any { return c.Options.App.StartCommand })},
		{"app_start_command", "cd web && ./server", is([]string{"/bin/sh", "-c", "cd web && exec ./server"}, func(c *handler.Config) any { return c.Options.App.StartCommand })},
		{"app_start_command", `["./server", "a b"]`, is([]string{"./server", "a b"}, func(c *handler.Config) any { return c.Options.App.StartCommand })},
		{"health_path", "/up", is("/up", func(c *handler.Config) any { return c.Options.App.HealthPath })},
		{"health_status", "200-299,401", is("200-299,401", func(c *handler.Config) any { return c.Options.App.HealthStatus })},
		{"health_timeout", "7", is(7*time.Second, func(c *handler.Config) any { return c.Options.App.HealthTimeout })},
		{"health_host", "a.example", is("a.example", func(c *handler.Config) any { return c.Options.App.HealthHost })},
		{"warmup_paths", "/a /b", is([]string{"/a", "/b"}, func(c *handler.Config) any { return c.Options.App.WarmupPaths })},
		{"warmup_required", "on", is(true, func(c *handler.Config) any { return c.Options.App.WarmupRequired })},
		{"base_uri", "/shop/", is("/shop", func(c *handler.Config) any { return c.Options.App.BaseURI })},
		{"base_uri", "/", is("", func(c *handler.Config) any { return c.Options.App.BaseURI })},
		{"restart_dir", "/var/restart", is("/var/restart", func(c *handler.Config) any { return c.Options.RestartDir })},
		{"spawn_method", "direct", is("direct", func(c *handler.Config) any { return c.Options.App.SpawnMethod })},
		{"ruby", "/opt/ruby", is("/opt/ruby", func(c *handler.Config) any { return c.Options.App.Ruby })},
		{"python", "python3.12", is("python3.12", func(c *handler.Config) any { return c.Options.App.Python })},
		{"nodejs", "node22", is("node22", func(c *handler.Config) any { return c.Options.App.NodeJS })},
		{"app_type", "php", is("php", func(c *handler.Config) any { return c.Options.App.Type })},
		{"php_server", "php-fpm8.3", is("php-fpm8.3", func(c *handler.Config) any { return c.Options.App.PHPServer })},
		{"php_ini", "memory_limit=1G a=b", is([]string{"memory_limit=1G", "a=b"}, func(c *handler.Config) any { return c.Options.App.PHPIni })},
		{"front_controller", "off", is(true, func(c *handler.Config) any { return c.Options.App.NoFrontController })},
		{"passenger_root", "/opt/p", is("/opt/p", func(c *handler.Config) any { return c.Options.App.PassengerRoot })},
		{"ruby_libdir", "/opt/p/src/ruby_supportlib", is("/opt/p/src/ruby_supportlib", func(c *handler.Config) any { return c.Options.App.RubyLibDir })},
		{"user", "alice", is("alice", func(c *handler.Config) any { return c.Options.App.User })},
		{"group", "!STARTUP_FILE!", is("!STARTUP_FILE!", func(c *handler.Config) any { return c.Options.App.Group })},
		{"no_new_privileges", "on", is(true, func(c *handler.Config) any { return c.Options.App.NoNewPrivileges })},
		{"load_shell_envvars", "off", is(false, func(c *handler.Config) any { return c.Options.App.LoadShellEnv })},
		{"env_vars", `{"A": "b"}`, is(map[string]string{"A": "b"}, func(c *handler.Config) any { return c.Options.App.Env })},
		{"env_vars", base64Env, is(map[string]string{"A": "b=c", "EMPTY": ""}, func(c *handler.Config) any { return c.Options.App.Env })},
		{"env_files", ".env -.env.local", is([]string{".env", "-.env.local"}, func(c *handler.Config) any { return c.Options.App.EnvFiles })},
		{"start_timeout", "5", is(5*time.Second, func(c *handler.Config) any { return c.Options.App.StartTimeout })},
		{"app_log_file", "/var/log/shop.log", is("/var/log/shop.log", func(c *handler.Config) any { return c.Options.App.LogFile })},
		{"max_output_rate", "4096", is(int64(4096), func(c *handler.Config) any { return c.Options.App.MaxOutputRate })},
		{"max_output_rate", "0", is(int64(-1), func(c *handler.Config) any { return c.Options.App.MaxOutputRate })},
		{"thread_count", "4", is(4, func(c *handler.Config) any { return c.Options.App.ThreadCount })},
		{"app_file_descriptor_ulimit", "99", is(uint64(99), func(c *handler.Config) any { return c.Options.App.FileLimit })},
		{"min_instances", "2", is(2, func(c *handler.Config) any { return c.Options.MinProcesses })},
		{"max_instances", "3", is(3, func(c *handler.Config) any { return c.Options.MaxProcesses })},
		{"max_requests", "1000", is(1000, func(c *handler.Config) any { return c.Options.MaxRequests })},
		{"max_queue_share", "0.25", is(0.25, func(c *handler.Config) any { return c.MaxQueueShare })},
		{"max_unanswered_requests", "3", is(3, func(c *handler.Config) any { return c.Options.MaxUnanswered })},
		{"max_unanswered_requests", "0", is(-1, func(c *handler.Config) any { return c.Options.MaxUnanswered })},
		{"max_requests_jitter", "0.5", is(0.5, func(c *handler.Config) any { return c.Options.MaxRequestsJitter })},
		{"max_preloader_idle_time", "0", is(time.Duration(passenger.Unlimited), func(c *handler.Config) any { return c.Options.MaxPreloaderIdleTime })},
		{"max_request_queue_size", "0", is(passenger.Unlimited, func(c *handler.Config) any { return c.Options.MaxRequestQueueSize })},
		{"max_request_queue_time", "7", is(7*time.Second, func(c *handler.Config) any { return c.Options.MaxRequestQueueTime })},
		{"max_request_time", "7", is(7*time.Second, func(c *handler.Config) any { return c.Options.MaxRequestTime })},
		{"memory_limit", "100", is(int64(100<<20), func(c *handler.Config) any { return c.Options.MemoryLimit })},
		{"hard_memory_limit", "200", is(int64(200<<20), func(c *handler.Config) any { return c.Options.HardMemoryLimit })},
		{"stat_throttle_rate", "0", is(time.Duration(passenger.Unlimited), func(c *handler.Config) any { return c.Options.StatThrottleRate })},
		{"rolling_restarts", "off", is(true, func(c *handler.Config) any { return c.Options.BlockingRestarts })},
		{"force_max_concurrent_requests_per_process", "0", is(passenger.Unlimited, func(c *handler.Config) any { return c.Options.ForceMaxConcurrentRequestsPerProcess })},
		{"unlimited_concurrency_paths", "/cable /events", is([]string{"/cable", "/events"}, func(c *handler.Config) any { return c.UnlimitedConcurrencyPaths })},
		{"request_buffering", "off", is(true, func(c *handler.Config) any { return c.StreamRequests })},
		{"max_request_body_size", "10", is(int64(10), func(c *handler.Config) any { return c.MaxRequestBody })},
		{"response_buffer_high_watermark", "10", is(int64(10), func(c *handler.Config) any { return c.MaxResponseBuffer })},
		{"friendly_error_pages", "on", is(handler.DetailsAlways, func(c *handler.Config) any { return c.ErrorDetails })},
		{"show_version_in_header", "off", is(true, func(c *handler.Config) any { return c.HidePoweredBy })},
		{"request_queue_overflow_status_code", "529", is(529, func(c *handler.Config) any { return c.QueueFullStatus })},
		{"request_queue_timeout_status_code", "503", is(503, func(c *handler.Config) any { return c.QueueTimeoutStatus })},
		{"spawn_exception_status_code", "502", is(502, func(c *handler.Config) any { return c.SpawnErrorStatus })},
		{"sticky_sessions", "on", is(true, func(c *handler.Config) any { return c.StickySessions.Enabled })},
		{"sticky_sessions_cookie_name", "route", is("route", func(c *handler.Config) any { return c.StickySessions.CookieName })},
		{"sticky_sessions_cookie_attributes", "Secure", is("Secure", func(c *handler.Config) any { return c.StickySessions.CookieAttributes })},
		{"abort_websockets_on_process_shutdown", "off", is(true, func(c *handler.Config) any { return c.Options.KeepLongSessions })},
		{"turbocaching", "off", is(true, func(c *handler.Config) any { return c.DisableTurbocache })},
		{"vary_turbocache_by_cookie", "lang", is("lang", func(c *handler.Config) any { return c.VaryTurbocacheByCookie })},
		{"sendfile_roots", `["/srv/a b"]`, is([]string{"/srv/a b"}, func(c *handler.Config) any { return c.Sendfile.Roots })},
		{"accel_redirect", `{"/f/": "/srv/f"}`, is(map[string]string{"/f/": "/srv/f"}, func(c *handler.Config) any { return c.Sendfile.Accel })},
		{"meteor_app_settings", "settings.json", is("settings.json", func(c *handler.Config) any { return c.Options.App.MeteorSettings })},
	} {
		t.Run(test.name+" "+test.value, func(t *testing.T) {
			server := flyingConfig()
			before := *server
			c := parse(t, server, test.name, test.value)
			test.check(t, &c)
			require.Equal(t, before, *server, "the server's own configuration was changed")
		})
	}
}

func TestAppRootOfDocumentRoot(t *testing.T) {
	c, err := newAppConfig(flyingConfig(), optionsFrom("document_root", "/srv/shop/public/"))
	require.NoError(t, err)
	require.Equal(t, "/srv/shop", c.Dir)

	parsed := parse(t, flyingConfig(), "document_root", "/srv/shop/public", "app_root", "/other")
	require.Equal(t, "/other", parsed.Options.App.Root)
}

func TestMaxInstancesPerApp(t *testing.T) {
	server := flyingConfig()
	server.Flying.MaxInstancesPerApp = 4
	require.Equal(t, 4, parse(t, server).Options.MaxProcesses)
	require.Equal(t, 2, parse(t, server, "max_instances", "2").Options.MaxProcesses)
	require.Equal(t, 4, parse(t, server, "max_instances", "5").Options.MaxProcesses)
}

func TestWrongAppOptions(t *testing.T) {
	const hidden = "s3cret"
	for _, test := range []struct {
		want    string
		options []string
	}{
		{"app_root is missing", nil},
		{"app_root is \"srv\"", []string{"app_root", "srv"}},
		{"no option \"colour\"", []string{"app_root", "/a", "colour", "red"}},
		{"no option \"password\"", []string{"app_root", "/a", "password", "red"}},
		{"no option \"socket_file\"", []string{"app_root", "/a", "socket_file", "/x"}},
		{"unknown app type", []string{"app_root", "/a", "app_type", "cobol"}},
		{"min_instances is -1: it must be 0 or more", []string{"app_root", "/a", "min_instances", "-1"}},
		{"min_instances must be a whole number, not \"1e3\"", []string{"app_root", "/a", "min_instances", "1e3"}},
		{"up to 2147483647, not \"99999999999\"", []string{"app_root", "/a", "min_instances", "99999999999"}},
		{"up to 2147483647", []string{"app_root", "/a", "min_instances", "99999999999999999999"}},
		{"above max_pool_size", []string{"app_root", "/a", "min_instances", "7"}},
		{"it must be from 0 to 1", []string{"app_root", "/a", "max_requests_jitter", "2"}},
		{"max_requests_jitter must be a number, not \"x\"", []string{"app_root", "/a", "max_requests_jitter", "x"}},
		{"above max_instances, which is 2", []string{"app_root", "/a", "min_instances", "3", "max_instances", "2"}},
		{"sticky_sessions must be true or false, not \"maybe\"", []string{"app_root", "/a", "sticky_sessions", "maybe"}},
		{"friendly_error_pages is \"perhaps\"", []string{"app_root", "/a", "friendly_error_pages", "perhaps"}},
		{"base_uri is \"shop\"", []string{"app_root", "/a", "base_uri", "shop"}},
		{"line break", []string{"app_root", "/a\nb"}},
		{"line break", []string{"app_root", "/a", "user", "a\r\nb"}},
		{"JSON array of texts", []string{"app_root", "/a", "app_start_command", `["a"`}},
		{"JSON array of texts", []string{"app_root", "/a", "app_start_command", `[]`}},
		{"JSON array of texts", []string{"app_root", "/a", "env_files", `[1]`}},
		{"JSON object of names", []string{"app_root", "/a", "accel_redirect", `[]`}},
		{"is not absolute", []string{"app_root", "/a", "sendfile_roots", `files`}},
		{"does not begin with a slash", []string{"app_root", "/a", "unlimited_concurrency_paths", "cable"}},
		{"env_vars must be", []string{"app_root", "/a", "env_vars", "{" + hidden}},
		{"env_vars must be", []string{"app_root", "/a", "env_vars", "!" + hidden}},
		{"env_vars must be", []string{"app_root", "/a", "env_vars", base64.StdEncoding.EncodeToString([]byte(hidden))}},
		{"cannot be set", []string{"app_root", "/a", "env_vars", `{"A=B": "` + hidden + `"}`}},
		{"status 399", []string{"app_root", "/a", "spawn_exception_status_code", "399"}},
		{"cookie", []string{"app_root", "/a", "vary_turbocache_by_cookie", "a b"}},
	} {
		t.Run(strings.Join(test.options, " "), func(t *testing.T) {
			_, err := newAppConfig(flyingConfig(), optionsFrom(test.options...))
			if test.want == "status 399" { // said in other words
				require.ErrorContains(t, err, "spawn_exception_status_code")
				return
			}

			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), hidden)
		})
	}
}

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}

	return h
}

func TestOptionsByHTTP(t *testing.T) {
	password := newSecret(testPassword)

	right := []string{"X-Passenger-Password", testPassword}
	for _, test := range []struct {
		name    string
		header  []string
		want    []appOption
		user    string
		failure string
	}{
		{
			name: "those that are listed",
			header: append(right, "X-Passenger-Options", "App-Root, app-env,,App-Type",
				"x-passenger-app-root", "/a", "X-Passenger-App-Env", "test"),
			want: optionsFrom("app_env", "test", "app_root", "/a"),
		},
		{
			name: "those that are not listed are the client's",
			header: append(right, "X-Passenger-Options", "App-Root", "X-Passenger-App-Root", "/a",
				"X-Passenger-User", "root", "X-Passenger-App-Start-Command", "evil"),
			want: optionsFrom("app_root", "/a"),
		},
		{
			name: "a user who has been authenticated",
			header: append(right, "X-Passenger-Options", "App-Root, Remote-User",
				"X-Passenger-App-Root", "/a", "X-Passenger-Remote-User", "alice"),
			want: optionsFrom("app_root", "/a"),
			user: "alice",
		},
		{name: "no password", header: []string{"X-Passenger-Options", "App-Root", "X-Passenger-App-Root", "/a"}, failure: "password"},
		{name: "a wrong password", header: []string{"X-Passenger-Password", testPassword + "x", "X-Passenger-Options", "App-Root"}, failure: "password"},
		{name: "a part of the password", header: []string{"X-Passenger-Password", testPassword[:5]}, failure: "password"},
		{name: "an empty password", header: []string{"X-Passenger-Password", ""}, failure: "password"},
		{name: "two passwords", header: append(right, "X-Passenger-Password", testPassword), failure: "password"},
		{name: "no list", header: right, failure: "X-Passenger-Options came 0 times"},
		{name: "two lists", header: append(right, "X-Passenger-Options", "App-Root", "X-Passenger-Options", "User"), failure: "X-Passenger-Options came 2 times"},
		{name: "an option of the client's as well", header: append(right, "X-Passenger-Options", "App-Root", "X-Passenger-App-Root", "/a", "X-Passenger-App-Root", "/b"), failure: "came 2 times"},
		{name: "an option that is listed twice", header: append(right, "X-Passenger-Options", "App-Root, App_Root, app-root", "X-Passenger-App-Root", "/a"), failure: "twice"},
		{name: "the password as an option", header: append(right, "X-Passenger-Options", "Password"), failure: "no option"},
		{name: "the list as an option", header: append(right, "X-Passenger-Options", "options"), failure: "no option"},
		{name: "too long", header: append(right, "X-Passenger-Options", "App-Root", "X-Passenger-App-Root", strings.Repeat("a", maxOptionBytes)), failure: "bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = headers(append(slices.Clone(test.header), "X-Other", "1", "Passenger-Option", "2")...)
			got, err := takeAppRequest(r, &password)
			require.Equal(t, headers("X-Other", "1", "Passenger-Option", "2"), r.Header,
				"what is not for applications goes in any case")
			if test.failure != "" {
				require.ErrorContains(t, err, test.failure)
				require.NotContains(t, err.Error(), testPassword)
				return
			}

			require.NoError(t, err)
			require.Equal(t, test.want, got.options)
			require.Equal(t, test.user, got.remoteUser)
		})
	}
}

func TestKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, options := range [][]appOption{
		nil,
		optionsFrom("a", "b"),
		optionsFrom("ab", "c"),
		optionsFrom("a", "bc"),
		optionsFrom("a", "b", "c", "d"),
		optionsFrom("a", "b c d"),
	} {
		key := (&appRequest{options: options}).key()
		require.False(t, seen[key], "%q", key)
		seen[key] = true
	}
}

func FuzzAppOptions(f *testing.F) {
	for _, o := range OptionsIn(options.Request) {
		f.Add(o.ParamNames()[0], "1", "/srv/shop")
	}

	f.Add("env_vars", `{"A":"b"}`, "/a")
	f.Add("app_start_command", `["a"]`, "/a")
	f.Fuzz(func(t *testing.T, name, value, root string) {
		c, err := newAppConfig(flyingConfig(), []appOption{{"app_root", root}, {name, value}})
		if err != nil {
			return
		}

		h := c.handler()
		require.NoError(t, h.Validate())
		require.NoError(t, h.Options.Validate())
		require.Equal(t, "/", h.Options.App.Root[:1])
		require.NotContains(t, h.Options.App.Root+"/", "/../")
	})
}

func FuzzOptionsByHTTP(f *testing.F) {
	f.Add("App-Root, User", "/a", "root", testPassword)
	f.Add("Password,Options", "/a", "root", testPassword)
	f.Add(",, ,App_Root", "", "", "")
	f.Fuzz(func(t *testing.T, list, root, user, given string) {
		password := newSecret(testPassword)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = headers(listHeader, list, passwordHeader, given,
			"X-Passenger-App-Root", root, "X-Passenger-User", user)
		a, err := takeAppRequest(r, &password)
		require.Empty(t, r.Header)
		if err != nil {
			return
		}

		require.Equal(t, testPassword, given)

		for _, o := range a.options {
			require.NotContains(t, []string{"password", "options"}, o.name)
			if o.name == "user" {
				require.Contains(t, strings.ToLower(list), "user")
			}
		}
	})
}
