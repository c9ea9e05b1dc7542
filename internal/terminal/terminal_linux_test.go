package terminal_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/terminal"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/internal/test/pty"
)

func TestMain(m *testing.M) { os.Exit(leakgate.Package(m.Run)) }

const (
	deadline = 20 * time.Second
	leave    = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

func open(t *testing.T) *pty.Terminal {
	t.Helper()
	p, err := pty.Open(40, 10)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })

	return p
}

// await waits until a text was shown.
func await(t *testing.T, p *pty.Terminal, text string) {
	t.Helper()

	end := time.After(deadline)
	for {
		found, changed := p.Screen.Count(text)
		if found > 0 {
			return
		}

		select {
		case <-changed:
		case <-end:
			require.FailNow(t, "not shown: "+text, "%q", p.Screen.String())
		}
	}
}

func TestScreen(t *testing.T) {
	p := open(t)
	before, err := p.Mode()
	require.NoError(t, err)
	s, err := terminal.OpenScreen(p.Program, p.Program)
	require.NoError(t, err)
	during, err := p.Mode()
	require.NoError(t, err)
	require.NotEqual(t, before, during)
	require.Equal(t, 10, s.Height())
	require.NoError(t, s.Draw([]string{terminal.Bold + strings.Repeat("ä", 41) + terminal.Reset, "second"}))
	await(t, p, "\x1b[H\x1b[1m"+strings.Repeat("ä", 40)+"\x1b[0m\x1b[K\r\nsecond\x1b[K\x1b[J")
	require.NoError(t, p.Press("q\x1b[A\x1b[6~\x03\x1b[25;1u"))

	for _, want := range []terminal.Key{'q', terminal.Up, terminal.PageDown, terminal.Leave} {
		require.Equal(t, want, <-s.Keys())
	}

	require.NoError(t, p.Resize(50, 12))
	require.Equal(t, 12, s.Height())
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "the second time is nothing")
	await(t, p, leave)
	after, err := p.Mode()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// A panic gives the terminal back, also one of another goroutine.
func TestScreenInPanic(t *testing.T) {
	for name, use := range map[string]func(*terminal.Screen){
		"the same goroutine": func(s *terminal.Screen) {
			defer func() { require.NoError(t, s.Close()) }()
			panic("trouble")
		},
		"another": func(s *terminal.Screen) {
			defer s.Guard()
			panic("trouble")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			before, err := p.Mode()
			require.NoError(t, err)
			s, err := terminal.OpenScreen(p.Program, p.Program)
			require.NoError(t, err)
			require.PanicsWithValue(t, "trouble", func() { use(s) })
			await(t, p, leave)
			after, err := p.Mode()
			require.NoError(t, err)

			require.Equal(t, before, after)
			require.NoError(t, s.Close())
		})
	}
}

func TestMenu(t *testing.T) {
	for name, test := range map[string]struct {
		plain  bool
		items  string
		keys   string
		chosen int
		err    error
	}{
		"the first":          {false, "a b c", "\r", 0, nil},
		"down":               {false, "a b c", "\x1b[B\x1b[B\r", 2, nil},
		"up from the first":  {false, "a b c", "\x1b[A\x1b[A\r", 2, nil},
		"cancel":             {false, "a b c", "\x1b[A\r", 0, terminal.ErrCancelled},
		"leave":              {false, "a b c", "q", 0, terminal.ErrCancelled},
		"Ctrl-C":             {false, "a b c", "\x03", 0, terminal.ErrCancelled},
		"a number":           {true, "a b c", "2\n", 1, nil},
		"wrong, then right":  {true, "a b c", "9\nx\n-1\n3\n", 2, nil},
		"zero":               {true, "a b c", "0\n", 0, terminal.ErrCancelled},
		"an empty line":      {true, "a b c", "\n", 0, terminal.ErrCancelled},
		"Ctrl-D":             {true, "a b c", "\x04", 0, terminal.ErrCancelled},
		"more than fit":      {false, "a b c d e f g h i", "9\n", 8, nil},
		"as many as just do": {false, "a b c d e f", "\x1b[F\x1b[A\r", 5, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			before, err := p.Mode()
			require.NoError(t, err)
			m := terminal.Menu{Title: "Choose one.", Items: strings.Fields(test.items), Plain: test.plain}
			type choice struct {
				item int
				err  error
			}
			made := make(chan choice, 1)
			go func() {
				item, err := m.Choose(t.Context(), p.Program, p.Program)
				made <- choice{item, err}
			}()
			await(t, p, "Choose one.")
			require.NoError(t, p.Press(test.keys))

			select {
			case c := <-made:
				require.ErrorIs(t, c.err, test.err)
				require.Equal(t, test.chosen, c.item)
			case <-time.After(deadline):
				require.FailNow(t, "nothing was chosen", "%q", p.Screen.String())
			}

			after, err := p.Mode()
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

func TestMenuEndsWithItsContext(t *testing.T) {
	stop := errors.New("stop")
	for _, plain := range []bool{true, false} {
		p := open(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		m := terminal.Menu{Title: "Choose one.", Items: []string{"a"}, Plain: plain}
		chosen := make(chan error, 1)
		go func() {
			_, err := m.Choose(ctx, p.Program, p.Program)
			chosen <- err
		}()
		await(t, p, "Choose one.")
		cancel(stop)
		require.ErrorIs(t, <-chosen, stop)
	}
}

func TestProgress(t *testing.T) {
	p := open(t)
	progress := terminal.Progress{Out: p.Program}
	progress.Show(strings.Repeat("x", 60))
	progress.Clear()
	await(t, p, "\r"+strings.Repeat("x", 39)+"\x1b[K\r"+"\x1b[K")
	none := terminal.Progress{}
	none.Show("nothing happens")
}

func TestColours(t *testing.T) {
	p := open(t)
	env := func(vars map[string]string) func(string) string {
		return func(name string) string { return vars[name] }
	}
	require.True(t, terminal.Colours(p.Program, false, env(nil)))
	require.False(t, terminal.Colours(p.Program, false, env(map[string]string{"NO_COLOR": "1"})))
	require.False(t, terminal.Colours(p.Program, false, env(map[string]string{"TERM": "dumb"})))
	require.True(t, terminal.Colours(&strings.Builder{}, true, env(map[string]string{"NO_COLOR": "1"})))
	require.False(t, terminal.Colours(&strings.Builder{}, false, env(nil)))
	file, err := os.Create(t.TempDir() + "/f")
	require.NoError(t, err)
	require.False(t, terminal.Is(file))
	require.NoError(t, file.Close())
}
