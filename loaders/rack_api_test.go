package loaders_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/sessionproto"
)

func (p *process) oobWork(t *testing.T) {
	t.Helper()
	s := p.session(t)
	b, err := sessionproto.OOBW(password)
	require.NoError(t, err)
	s.write(t, b)
	require.Equal(t, sessionproto.OOBWReply, s.raw(t))
}

// asksForOOBWork reports whether a response asks for out-of-band work, by the name
// of the header as it was sent.
func (p *process) asksForOOBWork(t *testing.T, uri string) bool {
	t.Helper()
	s := p.session(t)
	s.write(t, header(t, "GET", uri, nil))
	response := s.raw(t)
	require.Contains(t, response, " 200 OK\r\n")

	return strings.Contains(response, "\r\n!~Request-OOB-Work: true\r\n")
}

const outOfBandGC = `
PhusionPassenger.require_passenger_lib "rack/out_of_band_gc"
use PhusionPassenger::Rack::OutOfBandGc, %s
run lambda { |env|
  GC.disable if env["PATH_INFO"] == "/disable"
  GC::OOB.dry_run = true if env["PATH_INFO"] == "/due"
  disabled = GC.disable
  GC.enable unless disabled
  [200, { "content-type" => "text/plain" }.freeze, ["#{GC.count} #{disabled}"]]
}`

func TestRackOutOfBandGC(t *testing.T) {
	t.Parallel()

	for _, arguments := range []string{"3", "strategy: :count, frequency: 3", "{ strategy: :count, frequency: 3 }"} {
		p := start(t, rackSpec(t, writeRackApp(t, fmt.Sprintf(outOfBandGC, arguments))))
		for range 2 {
			require.False(t, p.asksForOOBWork(t, "/"))
			require.False(t, p.asksForOOBWork(t, "/"))
			require.True(t, p.asksForOOBWork(t, "/"))
		}
	}

	// Whether the application has switched collections off stays its affair.
	p := start(t, rackSpec(t, writeRackApp(t, fmt.Sprintf(outOfBandGC, "3"))))
	for _, disabled := range []bool{false, true} {
		p.get(t, map[bool]string{false: "/", true: "/disable"}[disabled])
		var before, after int
		var is bool
		_, err := fmt.Sscan(p.get(t, "/").body, &before, &is)
		require.NoError(t, err)
		p.oobWork(t)
		_, err = fmt.Sscan(p.get(t, "/").body, &after, &is)
		require.NoError(t, err)
		require.Greater(t, after, before)
		require.Equal(t, disabled, is)
	}
}

func TestRackOutOfBandGCCountsOnThreads(t *testing.T) { //nolint:tparallel // the group is what waits for its subtests
	t.Parallel()
	p := start(t, rackSpec(t, writeRackApp(t, fmt.Sprintf(outOfBandGC, "5")), keepAlive, threads(4)))
	var asked atomic.Int32
	t.Run("clients", func(t *testing.T) {
		for range 4 {
			t.Run("client", func(t *testing.T) {
				t.Parallel()

				s := p.session(t)
				for range 25 {
					if s.get(t, "/").Header.Get("!~Request-OOB-Work") != "" {
						asked.Add(1)
					}
				}
			})
		}
	})
	require.EqualValues(t, 20, asked.Load())
}

func TestRackOutOfBandGCTools(t *testing.T) {
	t.Parallel()
	p := start(t, rackSpec(t, writeRackApp(t, fmt.Sprintf(outOfBandGC, "strategy: :gctools_oobgc")), func(s *spec) {
		s.env = append(s.env, "RUBYLIB="+absolute(t, "testdata/rackgctools"))
	}))
	p.out.await(t, "gctools is set up")
	require.False(t, p.asksForOOBWork(t, "/"))
	require.True(t, p.asksForOOBWork(t, "/due"))
	p.oobWork(t)
	p.out.await(t, "gctools collects")
	require.False(t, p.asksForOOBWork(t, "/"))
}

func TestRackLibraries(t *testing.T) {
	t.Parallel()

	for source, want := range map[string]string{
		`PhusionPassenger.require_passenger_lib "rack/out_of_bounds"`:                         `only "rack/out_of_band_gc" (LoadError)`,
		fmt.Sprintf(outOfBandGC, "0"):                                                         "has to be at least 1",
		fmt.Sprintf(outOfBandGC, "strategy: :never"):                                          ":never is no strategy",
		fmt.Sprintf(outOfBandGC, "strategy: :gctools_oobgc"):                                  "gctools/oobgc",
		`PhusionPassenger.require_passenger_lib "rack/out_of_band_gc"; run Rack::OutOfBandGc`: "Rack::OutOfBandGc",
	} {
		_, err := startFailure(t, rackSpec(t, writeRackApp(t, source)))
		require.Contains(t, err.Message.Text, want)
	}
}

// Middlewares of Rack 3 may send lower-case names, by which the pool would not
// know the header.
func TestRackOutOfBandHeaderName(t *testing.T) {
	t.Parallel()
	p := start(t, rackSpec(t, writeRackApp(t, `run ->(env) { [200, { "!~request-oob-work" => "true" }, []] }`)))
	require.True(t, p.asksForOOBWork(t, "/"))
}

func TestRackAdvertisedConcurrency(t *testing.T) {
	t.Parallel()

	for _, level := range []int{0, 7} {
		source := fmt.Sprintf("PhusionPassenger.advertised_concurrency_level = %d\nrun ->(env) { [200, {}, []] }",
			level)
		file := writeRackApp(t, source)

		w := startPreloader(t, rackPreloaderSpec(t, file)).spawn(t, rackWorkerSpec())
		for _, p := range []*process{start(t, rackSpec(t, file, threads(3))), w.process} {
			require.Len(t, p.ready.Sockets, 2)

			for _, s := range p.ready.Sockets {
				require.Equal(t, level, s.Concurrency)
			}
		}
	}
}

func TestRackEvents(t *testing.T) {
	t.Parallel()
	p := start(t, rackSpec(t, writeRackApp(t, `
EVENTS = []
PhusionPassenger.on_event(:starting_worker_process) { |forked| EVENTS << "starting #{forked}" }
PhusionPassenger.on_event(:after_installing_signal_handlers) { EVENTS << "handlers #{trap("QUIT", "IGNORE").class}" }
PhusionPassenger.on_event(:startnig_worker_process) { raise "never called" }
run ->(env) { [200, {}, [EVENTS.join(", ")]] }`)))
	p.out.await(t, "there is no event :startnig_worker_process, only :after_installing_signal_handlers, :oob_work, ")
	require.Equal(t, "starting false, handlers Proc", p.get(t, "/").body)
}

func TestRackBacktraces(t *testing.T) {
	t.Parallel()
	p := startRackThreads(t, threads(2))
	gates, sessions := holdUp(t, p, 1)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGQUIT))
	p.out.await(t, "Passenger request 2")
	p.out.await(t, "config.ru")
	gates[0].open(t)
	require.Equal(t, "through", sessions[0].read(t, "GET").body)

	// The application's own use of the signal goes first.
	p = start(t, rackSpec(t, writeRackApp(t, `trap("QUIT") { STDERR.puts "mine" }; run ->(env) { [200, {}, []] }`)))
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGQUIT))
	p.out.await(t, "mine")
	require.NotContains(t, p.out.String(), "Thread")
}
