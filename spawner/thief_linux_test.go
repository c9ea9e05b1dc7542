package spawner_test

import (
	"bufio"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/spawner"
)

// thief is a program of bob's that listens where alice's application should.
type thief struct{ dir string }

func startThief(t *testing.T, program, address string) *thief {
	t.Helper()
	th := &thief{dir: shortDir(t)}
	require.NoError(t, os.Chown(th.dir, bob, bob))
	cmd := exec.Command(program)

	cmd.Dir = th.dir
	for name, value := range testapp.Env("thief", "address="+address) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}

	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: bob, Gid: bob}}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the thief could not listen at %s", address)

	return th
}

// requireNothing makes sure that the thief was sent nothing.
func (th *thief) requireNothing(t *testing.T) {
	t.Helper()
	require.NoFileExists(t, filepath.Join(th.dir, "stolen"))
}

// ownApp is one of alice's, in a directory of hers.
func ownApp(t *testing.T, program, behaviour string, params ...string) spawner.App {
	t.Helper()
	a := tenantApp(t, program, alice, alice)
	require.NoError(t, os.Chown(a.Root, alice, alice))
	a.Env = testapp.Env(behaviour, params...)

	return a
}

// stopListening has an application give its address up.
func stopListening(t *testing.T, a *spawner.App) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(a.Root, "stop"), nil, 0o644))
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(a.Root, "stopped"))
		return err == nil
	}, patience, time.Millisecond)
}

// A tenant who gets the address of another's application, while that restarts, gets no
// request: the process counts as unreachable, until it listens there again.
func TestAddressTakenByAnotherTenantGetsNoRequest(t *testing.T) {
	t.Parallel()

	for name, behaviour := range map[string][]string{
		"a port that was allotted to the program": {"generic-supervisor"},
		"an address that a loader reports":        {"tcp", "stops=yes"},
		"a name that a loader reports":            {"tcp", "stops=yes", "host=localhost"},
	} {
		for _, host := range []string{"127.0.0.1", "0.0.0.0", "::"} {
			t.Run(name+", the thief at "+host, func(t *testing.T) {
				t.Parallel()
				f := newUserFixture(t)
				program := sharedProgram(t)
				a := ownApp(t, program, behaviour[0], behaviour[1:]...)
				p := f.start(t, a)
				body, err := get(t, p, "/")
				require.NoError(t, err)
				require.Equal(t, "hello", body)

				stopListening(t, &a)
				_, port, err := net.SplitHostPort(p.Info().Sockets[0].Address.Addr)
				require.NoError(t, err)

				th := startThief(t, program, net.JoinHostPort(host, port))
				for range 5 {
					_, err = get(t, p, "/")
					require.ErrorContains(t, err, "another user listens")
				}

				th.requireNothing(t)
			})
		}
	}
}

// A program may serve on one address of its port while another program has the other one.
func TestConnectionsGoToTheAddressAtWhichTheProgramListens(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ name, own, taken string }{
		{"IPv6 only", "[::1]:$PORT", "127.0.0.1"},
		{"IPv4 only", "127.0.0.1:$PORT", "::1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newUserFixture(t)
			program := sharedProgram(t)
			a := ownApp(t, program, "generic-at", "address="+test.own)
			p := f.start(t, a)
			host, port, err := net.SplitHostPort(p.Info().Sockets[0].Address.Addr)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(strings.Trim(test.own, "["), host), host)

			th := startThief(t, program, net.JoinHostPort(test.taken, port))
			body, err := get(t, p, "/")
			require.NoError(t, err)
			require.Equal(t, "hello", body)
			th.requireNothing(t)
		})
	}
}

// A thief who is first on the other address is not asked whether the program is well.
func TestThiefOnTheOtherAddressIsNotTakenForTheProgram(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ name, own, taken string }{
		{"IPv6 only", "[::1]:$PORT", "127.0.0.1"},
		{"IPv4 only", "127.0.0.1:$PORT", "::1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newUserFixture(t)
			program := sharedProgram(t)
			a := ownApp(t, program, "generic-at", "address="+test.own)
			a.HealthPath = "/"
			a.StartCommand = []string{
				"sh", "-c",
				"echo $PORT >> ports; while [ ! -e taken ]; do sleep 0.01; done; exec " + program,
			}
			s, err := f.NewSpawner(a)
			require.NoError(t, err)
			spawned := make(chan spawner.Process, 1)
			go func() {
				defer close(spawned)
				p, err := s.Spawn(t.Context())
				if err != nil {
					t.Error(err)
					return
				}

				spawned <- p
			}()
			th := startThief(t, program, net.JoinHostPort(test.taken, awaitLine(t, filepath.Join(a.Root, "ports"))))
			require.NoError(t, os.WriteFile(filepath.Join(a.Root, "taken"), nil, 0o644))
			p, ok := <-spawned
			require.True(t, ok)
			defer p.Stop(t.Context())
			body, err := get(t, p, "/")
			require.NoError(t, err)
			require.Equal(t, "hello", body)
			th.requireNothing(t)
		})
	}
}

// awaitLine returns the first line of a file.
func awaitLine(t *testing.T, file string) string {
	t.Helper()

	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		text, err := os.ReadFile(file)
		if line, _, ok := strings.Cut(string(text), "\n"); err == nil && ok {
			return line
		}
	}

	t.Error("there is no line in " + file)

	return ""
}

// What a loader reports is no other user's.
func TestReportedAddressOfAnotherTenantIsRefused(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)
	other := f.start(t, ownApp(t, program, "tcp"))

	a := tenantApp(t, program, bob, bob)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		_, port, err := net.SplitHostPort(other.Info().Sockets[0].Address.Addr)
		require.NoError(t, err)
		a.Env = testapp.Env("say-after", "text=!> Ready\n!> socket: main;tcp://"+net.JoinHostPort(host, port)+
			";http_session;1\n!> \n")
		e := f.fail(t, a)
		require.Contains(t, e.Summary, "another user listens")
	}

	_, err := get(t, other, "/")
	require.NoError(t, err)
}

// A program that gets a Unix socket has an address that no other user can take.
func TestProgramServesOnSocketThatItsCommandNames(t *testing.T) {
	t.Parallel()

	for _, words := range [][]string{{"$SOCKET"}, {"--bind=unix:${SOCKET}"}} {
		f := newFixture(t)
		a := app(t, "generic-socket")
		a.StartCommand = slices.Concat(testapp.Command(), words)
		p := f.start(t, a)
		address := p.Info().Sockets[0].Address
		require.Equal(t, "unix", address.Network)
		s := stateOf(t, p)
		require.Contains(t, s.Env, "SOCKET="+address.Addr)
		require.True(t, strings.HasSuffix(s.Args[len(s.Args)-1], address.Addr), s.Args)
		require.False(t, slices.ContainsFunc(s.Env, func(v string) bool { return strings.HasPrefix(v, "PORT=") }))
	}
}

// The same by a shell, as another user; and the advice names $SOCKET if it does not serve there.
func TestProgramOfAnotherUserServesOnSocket(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)
	a := ownApp(t, program, "generic-socket")
	a.StartCommand = []string{"sh", "-c", "exec " + program + " $SOCKET"}
	body, err := get(t, f.start(t, a), "/")
	require.NoError(t, err)
	require.Equal(t, "hello", body)

	a.Env = maps.Clone(a.Env)
	maps.Copy(a.Env, testapp.Env("generic-elsewhere"))
	a.StartTimeout = short
	e := f.fail(t, a)
	require.Contains(t, e.Summary, "neither served on the socket")
	require.Contains(t, e.Advice, "$SOCKET")
}

// Root's program may become another user by itself where users are not switched.
func TestProgramThatGivesUpRootIsReached(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	f := newFixture(t, func(c *spawner.Config) { require.NoError(t, os.Chmod(c.Dir, 0o711)) })
	setpriv := interpreters.Find(t, "root", "setpriv") // of util-linux, which is always there
	program := sharedProgram(t)
	a := app(t, "generic")
	a.Root = shortDir(t)
	require.NoError(t, os.Chmod(a.Root, 0o755))
	a.StartCommand = []string{setpriv, "--reuid=61001", "--regid=61001", "--clear-groups", program}

	p := f.start(t, a)
	for range 2 {
		body, err := get(t, p, "/")
		require.NoError(t, err)
		require.Equal(t, "hello", body)
	}
}
