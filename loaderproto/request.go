package loaderproto

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// UnixPathMax is the limit of the length of a Unix socket's path that a request states, in bytes:
// sizeof(sun_path) on Linux.
const UnixPathMax = 108

// The names of features in [Request.Features], [Ready.Features] and [PreloaderReady.Features].
const (
	// FeatureSessionKeepAlive: connections of the session protocol stay open between requests, also
	// after request bodies. A body has exactly CONTENT_LENGTH bytes, and the loader reads what the
	// application left of it.
	FeatureSessionKeepAlive = "session_keep_alive"
	// FeatureHTTPOutOfBandWork: a request by HTTP with the field "!~Passenger-Control: OOBW" makes the
	// process do its out-of-band work before it responds.
	FeatureHTTPOutOfBandWork = "http_oob_work"
	// FeatureHTTPClient: requests by HTTP have the last field "!~Passenger-Client" with the client's address and port,
	// separated by a space, or no such field if the client is unknown. The application does not see the field.
	FeatureHTTPClient = "http_client"
	// FeatureBacktraceSignal: the signal URG makes the process append the backtraces of its threads to the
	// file "backtraces" in the directory for sockets, which is there; it may do so when it crashes, too.
	FeatureBacktraceSignal = "backtraces_by_signal"
	// FeatureBacktraceSocket: who connects to the Unix socket "backtraces" in the directory for sockets
	// gets the backtraces of the threads, up to the end of the connection.
	FeatureBacktraceSocket = "backtraces_by_socket"
	// FeatureWorkerStderr: the first byte of a command to a preloader carries
	// a descriptor (SCM_RIGHTS), which becomes the worker's stderr.
	FeatureWorkerStderr = "worker_stderr"
	// FeatureWorkerExits: a preloader reports how each of its workers ended, by a line of
	// [WorkerExit] on its stdout.
	FeatureWorkerExits = "worker_exits"
)

// Request is the request of a spawner to a loader. Empty strings are left out of the message;
// numbers and booleans are always sent.
type Request struct {
	PassengerRoot    string
	PassengerVersion string
	RubyLibDir       string
	GUPID            string // not sent to a preloader
	ConnectPassword  string
	InstanceDir      string
	SocketDir        string

	AppRoot      string
	AppGroupName string // empty means AppRoot
	AppType      string
	StartCommand []string
	StartupFile  string
	ProcessTitle string
	LogLevel     int
	StartTimeout time.Duration // sent as milliseconds
	Environment  string
	BaseURI      string
	SpawnMethod  string

	User, Group, DefaultUser, DefaultGroup string

	RestartDir      string
	IntegrationMode string

	Ruby, Python, NodeJS string
	MeteorAppSettings    string
	Debugger             bool

	// StartupFileUID is the user ID that must own the startup file when it is loaded, since the
	// owner decided the user the process runs as. Older loaders ignore this key. Empty means any
	// user.
	StartupFileUID string

	// StartupModule and StartupCallable are those of a startup file of Python that is given as module:callable, which
	// may end with "()". Older loaders ignore these keys. Empty leaves them out.
	StartupModule, StartupCallable string

	// ASGIServer is the server of the application's environment that an application of ASGI is served by. Older
	// loaders ignore this key. Empty leaves it out.
	ASGIServer string

	// ThreadCount is the number of requests that the process should serve at once. Older loaders
	// ignore this key. Zero leaves it out.
	ThreadCount int

	// Features are what the spawner offers beyond protocol 1.0, sent as one key that older loaders
	// ignore. A loader names those it accepts in its Ready block.
	Features []string
}

type pair struct{ key, value string }

// pairs returns the keys in the order of the original, which makes captures comparable.
func (r *Request) pairs(preloader bool) []pair {
	p := []pair{{"passenger_root", r.PassengerRoot}}
	version, lib := pair{"passenger_version", r.PassengerVersion}, pair{"ruby_libdir", r.RubyLibDir}
	if preloader {
		p = append(p, lib, version)
	} else {
		p = append(p, version, lib, pair{"gupid", r.GUPID})
	}

	p = append(p, pair{"UNIX_PATH_MAX", strconv.Itoa(UnixPathMax)},
		pair{"connect_password", r.ConnectPassword},
		pair{"instance_dir", r.InstanceDir},
		pair{"socket_dir", r.SocketDir})

	return append(p, r.appPairs()...)
}

func (r *Request) appPairs() []pair {
	groupName := r.AppGroupName
	if groupName == "" {
		groupName = r.AppRoot
	}

	return []pair{
		{"app_root", r.AppRoot},
		{"app_group_name", groupName},
		{"app_type", r.AppType},
		{"start_command", strings.Join(r.StartCommand, "\t")},
		{"startup_file", r.StartupFile},
		{"process_title", r.ProcessTitle},
		{"log_level", strconv.Itoa(r.LogLevel)},
		{"start_timeout", strconv.FormatInt(r.StartTimeout.Milliseconds(), 10)},
		{"environment", r.Environment},
		{"base_uri", r.BaseURI},
		{"spawn_method", r.SpawnMethod},
		{"user", r.User},
		{"group", r.Group},
		{"default_user", r.DefaultUser},
		{"default_group", r.DefaultGroup},
		{"restart_dir", r.RestartDir},
		{"integration_mode", r.IntegrationMode},
		{"ruby", r.Ruby},
		{"python", r.Python},
		{"nodejs", r.NodeJS},
		{"meteor_app_settings", r.MeteorAppSettings},
		{"debugger", strconv.FormatBool(r.Debugger)},
		{"analytics", "false"},
		{"api_key", r.ConnectPassword},
		{"startup_file_uid", r.StartupFileUID},
		{"startup_module", r.StartupModule},
		{"startup_callable", r.StartupCallable},
		{"asgi_server", r.ASGIServer},
		{"thread_count", number(r.ThreadCount)},
		{"features", strings.Join(r.Features, " ")},
	}
}

// number returns an empty string, which is not sent, for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}

	return strconv.Itoa(n)
}

// Check returns an error for the first value that cannot be sent.
func (r *Request) Check() error {
	_, err := r.encode(false)
	if err != nil {
		return err
	}

	return nil
}

func (r *Request) encode(preloader bool) ([]byte, *Error) {
	return r.encodePairs(r.pairs(preloader))
}

func (r *Request) encodePairs(pairs []pair) ([]byte, *Error) {
	for _, arg := range r.StartCommand {
		if strings.Contains(arg, "\t") {
			return nil, fail(BadRequest, SendRequest, fmt.Sprintf("start_command: %q holds a tab", arg))
		}
	}

	var b []byte
	for _, p := range pairs {
		// The original leaves out empty texts, and loaders take a missing key for one.
		if p.value == "" {
			continue
		}

		if strings.ContainsAny(p.value, "\r\n\x00") {
			return nil, fail(BadRequest, SendRequest, p.key+" holds a line break or NUL")
		}

		if len(p.key)+2+len(p.value) > MaxLine {
			return nil, fail(BadRequest, SendRequest, p.key+" is too long")
		}

		b = append(b, p.key...)
		b = append(b, ": "...)
		b = append(b, p.value...)
		b = append(b, '\n')
	}

	return b, nil
}
