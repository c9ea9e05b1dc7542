package loaders_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/loaders"
)

func rackSpec(t *testing.T, startupFile string, options ...func(*spec)) *spec {
	t.Helper()

	s := &spec{
		argv: []string{
			interpreters.Find(t, "ruby", os.Getenv("PASSENGER_TEST_RUBY"), "ruby"), "-w",
			absolute(t, loaders.Ruby),
		},
		// A process that is killed leaves its temporary files.
		env: []string{"TMPDIR=" + t.TempDir()},
		request: loaderproto.Request{
			AppType:      "rack",
			AppRoot:      filepath.Dir(startupFile),
			StartupFile:  startupFile,
			ProcessTitle: "Passenger: App",
		},
	}
	for _, o := range options {
		o(s)
	}

	return s
}

func startRack(t *testing.T, options ...func(*spec)) *process {
	t.Helper()
	return start(t, rackSpec(t, absolute(t, "testdata/rack/config.ru"), options...))
}

func TestRackHandshake(t *testing.T) {
	t.Parallel()
	p := startRack(t)
	require.Equal(t, loaderproto.Session, p.address(t).Protocol)
	require.Equal(t, 1, p.address(t).Concurrency)
	require.Empty(t, p.ready.Features)
	p.requireProtected(t)
	p.out.await(t, "the application prints while it loads")
	p.out.await(t, "and leaves a line unfinished")
	p.out.await(t, "starting, forked: false")
	p.get(t, "/print_something")
	p.out.await(t, "printed in a request\n")
	p.out.await(t, "complained in a request\n")
	require.NotContains(t, p.out.String(), "passenger_loader", "warnings of ruby -w")
	p.requireCleanStop(t)
	p.out.await(t, "stopping\n")
}

func TestRackFailures(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct{ source, want string }{
		"exception":          {"print 'partial'\nraise 'no: database'", "no: database (RuntimeError)"},
		"syntax":             {"run ->(", "SyntaxError"},
		"exit":               {"exit 3", "SystemExit"},
		"message":            {"raise Class.new(StandardError) { def message; nil.name; end }", "because of NoMethodError"},
		"load error":         {"require 'no_such_library'", "no_such_library"},
		"child holds stdout": {"spawn('sleep', '5'); at_exit { sleep 5 }; boom", "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "config.ru")
			require.NoError(t, os.WriteFile(file, []byte(c.source), 0o600))
			p, err := startFailure(t, rackSpec(t, file))
			require.Equal(t, loaderproto.AppError, err.Kind)
			require.Contains(t, err.Message.Text, c.want)
			require.Contains(t, err.Message.Text, "config.ru")
			require.Equal(t, 1, p.exitCode(t))
		})
	}
}

func TestRackBundler(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	file := filepath.Join(root, "config.ru")
	require.NoError(t, os.WriteFile(file, []byte("run ->(env) { [200, {}, [Bundler.root.to_s]] }"), 0o600))
	gemfile := filepath.Join(root, "Gemfile")
	require.NoError(t, os.WriteFile(gemfile, []byte("gem 'no_such_gem_at_all'\n"), 0o600))
	_, err := startFailure(t, rackSpec(t, file))
	require.Contains(t, err.Message.Text, "no_such_gem_at_all")

	require.NoError(t, os.WriteFile(gemfile, []byte("gem 'rack'\n"), 0o600))
	p := start(t, rackSpec(t, file))
	require.Equal(t, root, p.get(t, "/").body)
}

func TestRackStartupFileNames(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "a: b;c d\xe9 ")
	require.NoError(t, os.Mkdir(root, 0o700))

	for _, name := range []string{"config.ru", "other.ru", "application", "caf\xe9"} {
		file := filepath.Join(root, name)
		require.NoError(t, os.WriteFile(file, []byte("run ->(env) { [200, {}, [Dir.pwd]] }"), 0o600))
		p := start(t, rackSpec(t, file))
		require.Equal(t, root, p.get(t, "/").body)
	}
}

func TestRackSockets(t *testing.T) {
	t.Parallel()
	p := startRack(t, tcpOnly)
	require.Regexp(t, `^tcp://127\.0\.0\.1:\d+$`, p.address(t).Address.String())
	require.Equal(t, "ignored", p.get(t, "/ignore_body").body)

	_, err := startFailure(t, rackSpec(t, absolute(t, "testdata/rack/config.ru"), func(s *spec) {
		s.request.SocketDir = "/tmp/" + strings.Repeat("x", 100)
	}))
	require.Contains(t, err.Message.Text, "shorter than 108 bytes")

	file := filepath.Join(t.TempDir(), "config.ru")
	require.NoError(t, os.WriteFile(file, []byte("PhusionPassenger.advertised_concurrency_level = 0\nrun ->(env) {}"),
		0o600))
	require.Zero(t, start(t, rackSpec(t, file)).address(t).Concurrency)
}

func TestRackEnvironment(t *testing.T) {
	t.Parallel()
	p := startRack(t)
	s := p.session(t)
	s.write(t, header(t, "GET", "/show_env/%C3%A9?a=%20b", vars{
		"HTTPS": "on", "SCRIPT_NAME": "/base",
		"CONTENT_TYPE": "text/x",
	}))
	var env map[string]any
	require.NoError(t, json.Unmarshal([]byte(s.read(t, "GET").body), &env))
	require.Equal(t, "/show_env/%C3%A9", env["PATH_INFO"])
	require.Equal(t, "/base", env["SCRIPT_NAME"])
	require.Equal(t, "a=%20b", env["QUERY_STRING"])
	require.Equal(t, "text/x", env["CONTENT_TYPE"])
	require.Equal(t, "https", env["rack.url_scheme"])
	require.Equal(t, false, env["rack.multithread"])
	require.Equal(t, true, env["rack.multiprocess"])
	require.Equal(t, false, env["rack.run_once"])
	require.NotContains(t, env, "PASSENGER_CONNECT_PASSWORD")

	s = p.session(t)
	s.write(t, header(t, "GET", "/latin1/%FF", vars{"HTTP_X_ECHO": "caf\xe9"}))
	r := s.read(t, "GET")
	require.Equal(t, "caf\xe9", r.Header.Get("X-Echo"))
	require.Equal(t, "é", r.Header.Get("X-Utf8"))
	require.Equal(t, "/latin1/%FF", r.body)
}

func TestRackInput(t *testing.T) {
	t.Parallel()
	p := startRack(t, keepAlive)
	s := p.session(t)
	var parts []any
	require.NoError(t, json.Unmarshal([]byte(s.post(t, "/echo_lines", "one\ntwo\nthree\nfour\nfive").body), &parts))
	require.Equal(t, []any{"one\n", "tw", "o\n", "thr", "ee\nfour\nfive", "", nil, nil}, parts)
	large := strings.Repeat("0123456789", 300000)
	require.Equal(t, large, s.post(t, "/echo", large).body)
	require.Empty(t, s.get(t, "/echo").body)
	if strings.HasPrefix(s.get(t, "/release").body, "2.") {
		require.Equal(t, "true5", s.post(t, "/rewind", "small").body)
		require.Equal(t, "true3000000", s.post(t, "/rewind", large).body)
	}

	require.Equal(t, "lint found nothing", s.post(t, "/lint", "body").body)
}

func TestRackResponses(t *testing.T) {
	t.Parallel()

	p := startRack(t, keepAlive)
	for _, c := range []struct {
		uri    string
		status int
		body   string
		length string
		closes bool
	}{
		{uri: "/generator", status: 200, body: "onetwo"},
		{uri: "/ignore_body", status: 200, body: "ignored", length: "7"},
		{uri: "/many_headers", status: 200, body: "many", length: "4"},
		{uri: "/array_header", status: 200, body: "many", length: "4"},
		{uri: "/mixed_encodings", status: 200, body: "é\xff\xe9\x00", length: "5"},
		{uri: "/mixed_encodings?5", status: 200, body: "é\xff\xe9\x00", length: "5"},
		{uri: "/mixed_encodings?4", status: 200, body: "é\xff\xe9", length: "4"},
		{uri: "/too_much", status: 200, body: "abc", length: "3"},
		{uri: "/empty", status: 200, length: "0"},
		{uri: "/without_body?204", status: 204},
		{uri: "/without_body?304", status: 304},
		{uri: "/file", status: 200, body: strings.Repeat("x", 1000000), length: "1000000"},
		{uri: "/chunked_by_itself", status: 200, body: "own", closes: true},
		{uri: "/streaming", status: 200, body: "onetwo", closes: true},
		{uri: "/streaming_of_length", status: 200, body: "onetwo", length: "6", closes: true},
		{uri: "/partial_hijack", status: 200, body: "hijacked", closes: true},
		{uri: "/fail", status: 500, closes: true},
		{uri: "/fail_to_tell", status: 500, closes: true},
		{uri: "/fail_before_first_chunk", status: 500, closes: true},
		{uri: "/missing_code", status: 500, closes: true},
		{uri: "/no_such_route", status: 500, closes: true},
		{uri: "/bad_part", status: 500, closes: true},
		{uri: "/text_body", status: 500, closes: true},
		{uri: "/without_body?100", status: 500, closes: true},
		{uri: "/without_body?199", status: 500, closes: true},
		{uri: "/bad_header?cr", status: 500, closes: true},
		{uri: "/bad_header?nul", status: 500, closes: true},
	} {
		s := p.session(t)
		r := s.get(t, c.uri)
		require.Equal(t, c.status, r.StatusCode, c.uri)
		if c.status != http.StatusInternalServerError {
			require.Equal(t, c.body, r.body, c.uri)
		} else {
			require.Contains(t, r.Header.Get("Content-Type"), "text/plain")
			require.NotContains(t, r.body, "config.ru")
		}

		if c.length != "" {
			require.Equal(t, c.length, r.Header.Get("Content-Length"), c.uri)
		}

		if strings.HasPrefix(c.body, "many") {
			require.Equal(t, []string{"a", "b"}, r.Header.Values("X-Lines"), c.uri)
		}

		if c.closes {
			require.True(t, r.Close, c.uri)
			s.requireClosed(t)
			continue
		}

		require.False(t, r.Close, c.uri)
		require.Equal(t, "ignored", s.get(t, "/ignore_body").body, c.uri)
	}

	p.out.await(t, "the application fails (RuntimeError)")
	require.JSONEq(t, `["generator", "without", "without", "file", "partial", "before", "without", "without",
		"bad header", "bad header"]`, p.get(t, "/which_closed").body)
}

func TestRackHead(t *testing.T) {
	t.Parallel()
	p := startRack(t, keepAlive)

	s := p.session(t)
	for _, uri := range []string{
		"/generator", "/ignore_body", "/file", "/too_little", "/streaming",
		"/partial_hijack",
	} {
		s.write(t, header(t, "HEAD", uri, nil))
		r := s.read(t, "HEAD")
		require.Equal(t, 200, r.StatusCode)
		require.Empty(t, r.body)
		require.False(t, r.Close)
	}

	require.JSONEq(t, `["generator", "file", "partial"]`, s.get(t, "/which_closed").body)
}

// A response that breaks off must not look complete.
func TestRackBrokenOff(t *testing.T) {
	t.Parallel()

	p := startRack(t, keepAlive)
	for _, uri := range []string{"/fail_after_first_chunk", "/too_little", "/streaming_fails"} {
		s := p.session(t)
		s.write(t, header(t, "GET", uri, nil))
		raw := s.raw(t)
		require.Contains(t, raw, "200 OK", uri)
		require.False(t, strings.HasSuffix(raw, "0\r\n\r\n"), uri)
	}

	require.JSONEq(t, `["after"]`, p.get(t, "/which_closed").body)
}

func TestRackHijack(t *testing.T) {
	t.Parallel()
	p := startRack(t, keepAlive)
	requireRackHijack(t, p)
	require.JSONEq(t, `["full"]`, p.get(t, "/which_closed").body)
}

func requireRackHijack(t *testing.T, p *process) {
	t.Helper()

	// What came together with the request is the application's.
	s := p.session(t)
	s.write(t, header(t, "GET", "/full_hijack", nil), []byte("ping"))
	require.Equal(t, "ping", s.read(t, "GET").body)
	s.requireClosed(t)

	s = p.session(t)
	s.write(t, header(t, "GET", "/upgrade", nil), []byte("echo"))
	res, err := http.ReadResponse(s.br, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	require.Equal(t, "upgrade", strings.ToLower(res.Header.Get("Connection")))
	b, err := io.ReadAll(s.br)
	require.NoError(t, err)
	require.Equal(t, "ECHO", string(b))
}

func TestRackCallbacks(t *testing.T) {
	t.Parallel()
	p := startRack(t, keepAlive)
	require.Equal(t, "finishing", p.get(t, "/response_finished").body)
	p.out.await(t, "finished 200 nil")
}

// Every response of a foreign core's connection closes it.
func TestRackOneRequest(t *testing.T) {
	t.Parallel()

	p := startRack(t)
	for _, uri := range []string{"/generator", "/ignore_body", "/without_body?204"} {
		s := p.session(t)
		require.True(t, s.get(t, uri).Close, uri)
		s.requireClosed(t)
	}
}

func TestRackKeepAlive(t *testing.T) { requireKeepAlive(t, startRack(t, keepAlive)) }

func TestRackFailsAfterItsResponse(t *testing.T) { requireLateFailures(t, startRack(t, keepAlive)) }

func TestRackRequestsAreSeparate(t *testing.T) { requireSeparateRequests(t, startRack(t, keepAlive)) }

func TestRackKeepsFewHeaderNames(t *testing.T) { requireBoundedNames(t, startRack(t, keepAlive)) }

func TestRackControl(t *testing.T) {
	p := startRack(t, keepAlive)
	requireControl(t, p)
	p.out.await(t, "working out of band")
	p.out.await(t, "the handler fails")
}

// Faults: R-19.
func TestRackRefusesWrongPasswords(t *testing.T) { requirePassword(t, startRack(t, keepAlive)) }

func TestRackClientGone(t *testing.T)   { requireClientGone(t, startRack(t, keepAlive), "endless") }
func TestRackGracefulStop(t *testing.T) { requireGracefulStop(t, startRack(t)) }

func TestRackEndsBySIGTERM(t *testing.T) { requireEndBySIGTERM(t, startRack(t)) }

// Rack 3 returns the application alone, has no rack.version and promises no
// input that can be rewound. Those before it do.
func TestRackReleases(t *testing.T) {
	t.Parallel()

	for release, want := range map[string]string{
		"1.6.13": "bodytruetrue",
		"2.2.22": "bodytruetrue",
		"3.1.0":  "bodyfalsefalse",
	} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			testRackRelease(t, release, want+release)
		})
	}
}

func testRackRelease(t *testing.T, release, want string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.ru")
	require.NoError(t, os.WriteFile(file, []byte(`
run lambda { |env|
  input = env["rack.input"]
  [200, {}, [input.read, input.respond_to?(:rewind), env.key?("rack.version"), Rack.release].map(&:to_s)]
}`), 0o600))
	p := start(t, rackSpec(t, file, keepAlive, func(s *spec) {
		s.env = append(s.env, "RUBYLIB="+absolute(t, "testdata/rack3"), "RACK_RELEASE="+release)
	}))
	require.Equal(t, want, p.session(t).post(t, "/", "body").body)
}

// As with Python, an application may choose another interpreter by executing it.
func TestRackExec(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.ru")
	require.NoError(t, os.WriteFile(file, []byte(`
if ENV["CHOSEN"].nil?
  ENV.store("CHOSEN", "yes")
  exec(RbConfig.ruby, $0)
end
run ->(env) { [200, {}, [ENV["CHOSEN"]]] }
`), 0o600))
	p := start(t, rackSpec(t, file))
	require.Equal(t, "yes", p.get(t, "/").body)
}
