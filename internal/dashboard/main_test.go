package dashboard

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/status"
)

func TestMain(m *testing.M) { os.Exit(leakgate.Package(m.Run)) }

// instance is a source that a test changes.
type instance struct {
	mu       sync.Mutex
	pool     Pool
	figures  []status.Figures
	requests []Request
	failures []passenger.FailedSpawn
	err      error
	// clock is how far the clock of the instance is ahead.
	clock time.Duration
	// looks counts the calls of Pool, asked those of Failures.
	looks, asked int
	orders       []any
}

func newInstance(names ...string) *instance {
	i := &instance{}
	for _, name := range names {
		i.pool.Groups = append(i.pool.Groups, Group{Name: name, AppRoot: "/srv/" + name})
		i.figures = append(i.figures, status.Figures{App: name})
	}

	return i
}

// change changes what the next look finds.
func (i *instance) change(f func(i *instance)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(i)
}

func (i *instance) Pool(context.Context) (*Pool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()

	i.looks++
	pool := i.pool
	pool.At = time.Now().Add(i.clock)
	pool.Groups = slices.Clone(pool.Groups)

	return &pool, i.err
}

// looked returns how often it was looked at.
func (i *instance) looked() int {
	i.mu.Lock()
	defer i.mu.Unlock()

	return i.looks
}

func (i *instance) Figures(_ context.Context, app string, points int) (all []status.Figures, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()

	for _, f := range i.figures {
		if app == "" || app == f.App {
			f.Points = slices.Clone(f.Points[max(len(f.Points)-points, 0):])
			all = append(all, f)
		}
	}

	return all, nil
}

func (i *instance) Requests(context.Context) ([]Request, error) { return i.requests, nil }

func (i *instance) Failures(context.Context) ([]passenger.FailedSpawn, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++

	return i.failures, nil
}

func (i *instance) Incidents(context.Context) ([]Incident, error) {
	return []Incident{{ID: "one", App: "shop", Summary: "it died", Cause: "exit"}}, nil
}

func (i *instance) Incident(_ context.Context, id string) (json.RawMessage, error) {
	if id == "one" {
		return json.RawMessage(`{"stacks":"app.rb:12"}`), nil
	}

	return nil, fs.ErrNotExist
}

func (i *instance) Restart(_ context.Context, app string) error { return i.order(app) }
func (i *instance) Detach(_ context.Context, pid int) error     { return i.order(pid) }

func (i *instance) order(what any) error {
	i.mu.Lock()
	defer i.mu.Unlock()

	if what == "none" {
		return fs.ErrNotExist
	}

	i.orders = append(i.orders, what)

	return i.err
}

// anyone is a door that gives each caller the same access.
type anyone Access

func (a anyone) Admit(w http.ResponseWriter, _ *http.Request, needed Access) Access {
	if Access(a) < needed {
		w.WriteHeader(http.StatusUnauthorized)
	}

	return Access(a)
}

func (anyone) SignIn() bool { return true }

func newPage(source Source, door Door) *Handler {
	return New(Config{Source: source, Door: door, Title: "d7Y2MA3f", Logger: logr.Discard()})
}

// get returns the response of h to a request that change has made another one.
func get(h http.Handler, path string, change ...func(r *http.Request)) *httptest.ResponseRecorder {
	return do(h, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9000"+path, nil), change...)
}

// post sends an order as the page does.
func post(h http.Handler, path, body string, change ...func(r *http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:9000"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")

	return do(h, r, change...)
}

func do(h http.Handler, r *http.Request, change ...func(r *http.Request)) *httptest.ResponseRecorder {
	for _, f := range change {
		f(r)
	}

	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)

	return w
}

func header(name, value string) func(r *http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(r *http.Request) { return func(r *http.Request) { r.Host = name } }

// failedStart is one of an application.
func failedStart(app, id string) passenger.FailedSpawn {
	return passenger.FailedSpawn{GroupName: app, Report: spawner.Report{ID: id, Summary: "no flask", Output: "long"}}
}

// decoded returns the name of an event and its data.
func decoded(t *testing.T, event []byte, data any) (name string) {
	t.Helper()
	name, rest, ok := strings.Cut(strings.TrimPrefix(string(event), "event: "), "\ndata: ")
	require.True(t, ok, "%s", event)
	line, rest, _ := strings.Cut(rest, "\n")
	require.Equal(t, "\n", rest, "one line of data and an empty one")
	require.NoError(t, json.Unmarshal([]byte(line), data))

	return name
}
