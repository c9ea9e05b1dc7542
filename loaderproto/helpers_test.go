package loaderproto_test

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

const (
	control = "!> I have control 1.0\n"
	readyOK = "!> Ready\n!> socket: main;unix:/tmp/a.sock;session;1\n!> \n"
)

// script is a connection whose other end says what it is given and takes what
// it is sent.
type script struct {
	io.Reader
	sent     bytes.Buffer
	writes   int
	writeErr error
}

func says(parts ...string) *script {
	return &script{Reader: strings.NewReader(strings.Join(parts, ""))}
}

// then makes reads fail with err after the script.
func (s *script) then(err error) *script {
	if err != nil {
		s.Reader = io.MultiReader(s.Reader, iotest.ErrReader(err))
	}

	return s
}

func (s *script) Write(p []byte) (int, error) {
	if s.writeErr != nil {
		return 0, s.writeErr
	}

	s.writes++

	return s.sent.Write(p)
}

// repeated is a reader of the same text again and again, of at most size bytes
// and whole texts only.
func repeated(text string, size int) io.Reader {
	many := strings.Repeat(text, 1+noiseAt/len(text))
	return io.LimitReader(&repeater{text: many}, int64(size-size%len(text)))
}

type repeater struct {
	text string
	at   int
}

func (r *repeater) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], r.text[r.at:])
		n, r.at = n+c, (r.at+c)%len(r.text)
	}

	return n, nil
}

func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

// readyBlock is a Ready message with these lines.
func readyBlock(l ...string) string {
	var b strings.Builder
	b.WriteString("!> Ready\n")

	for _, line := range append(l, "") {
		b.WriteString("!> " + line + "\n")
	}

	return b.String()
}

// asError requires what every failure of the package promises.
func asError(t *testing.T, err error) loaderproto.Error {
	t.Helper()
	var e *loaderproto.Error
	require.ErrorAs(t, err, &e)
	require.NotContains(t, e.Kind.String(), "Kind(")
	require.NotContains(t, e.Step.String(), "Step(")
	require.NotZero(t, e.Kind.Category())
	require.LessOrEqual(t, len(e.Line), 200)
	if e.Kind == loaderproto.AppError {
		require.NotNil(t, e.Message)
	}

	if e.Message != nil {
		require.LessOrEqual(t, len(e.Message.Text), loaderproto.MaxErrorText)
	}

	return *e
}

func requireKind(t *testing.T, err error, kind loaderproto.Kind, step loaderproto.Step) loaderproto.Error {
	t.Helper()
	e := asError(t, err)
	require.Equal(t, kind.String(), e.Kind.String())
	require.Equal(t, step.String(), e.Step.String())

	return e
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	require.NoError(t, err)

	return string(b)
}

// allocated returns how many bytes f allocates, freed ones included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)

	return after.TotalAlloc - before.TotalAlloc
}

// fullRequest has every field set.
func fullRequest() loaderproto.Request {
	return loaderproto.Request{
		PassengerRoot:     "/opt/passenger",
		PassengerVersion:  "5.0.30",
		RubyLibDir:        "/opt/passenger/ruby",
		GUPID:             "18a3f0c-AbCdEfGhIj",
		ConnectPassword:   "0123456789abcdef",
		InstanceDir:       "/tmp/passenger.1",
		SocketDir:         "/tmp/passenger.1/apps.s",
		AppRoot:           "/srv/app",
		AppGroupName:      "/srv/app (staging)",
		AppType:           "rack",
		StartCommand:      []string{"ruby", "/opt/passenger/rack-loader.rb", "a b"},
		StartupFile:       "/srv/app/config.ru",
		ProcessTitle:      "Passenger RubyApp",
		LogLevel:          3,
		StartTimeout:      90 * time.Second,
		Environment:       "staging",
		BaseURI:           "/base",
		SpawnMethod:       "smart",
		User:              "alice",
		Group:             "staff",
		DefaultUser:       "nobody",
		DefaultGroup:      "nogroup",
		RestartDir:        "tmp",
		IntegrationMode:   "standalone",
		Ruby:              "/usr/bin/ruby",
		Python:            "python3",
		NodeJS:            "node",
		MeteorAppSettings: "settings.json",
		Debugger:          true,
		Features:          []string{loaderproto.FeatureSessionKeepAlive, "other"},
	}
}
