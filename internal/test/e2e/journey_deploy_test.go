package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// shopRelease has a preloader. It does not end its boot while there is a file slow
// in shared/, nor the request /hold while there is a file hold.
const shopRelease = `shared = File.expand_path('../../shared', Dir.pwd)
sleep 0.02 while File.exist?(File.join(shared, 'slow'))
root = Dir.pwd
run lambda { |env|
  next [200, {}, ['well']] if env['PATH_INFO'] == '/up'
  require File.join(root, 'pages')
  if env['PATH_INFO'] == '/hold'
    warn 'holding a request'
    sleep 0.02 while File.exist?(File.join(shared, 'hold'))
  end
  [200, { 'content-type' => 'text/plain' }, [page]]
}
`

// Journey 1, a deploy: by each way to restart, under load, no request waits for a boot,
// fails, or gets an asset of another release; and the old release can be deleted, even
// while a request of it is served.
func TestJourneyDeploy(t *testing.T) {
	t.Parallel()
	shop := releaseKinds[0]
	shop.files = map[string]string{"config.ru": shopRelease, "pages.rb": shop.files["pages.rb"]}
	d := startDeployment(t, &shop)
	mark := func(name string) string {
		path := filepath.Join(d.dir, "shared", name)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		return path
	}

	for i, by := range []string{byRestartApp, byRestartFile, byReload} {
		n := i + 2
		slow := mark("slow")
		d.write(n, noFault)
		var held <-chan fetched
		if by == byReload {
			mark("hold")
			held = d.c.background(t, "/hold")
			d.s.Stderr.Await(t, "holding a request", 1, d.s.Ended)
		}

		type result struct {
			told string
			err  error
		}
		done := make(chan result, 1)
		go func() {
			told, err := d.do(by)
			done <- result{told, err}
		}()

		// While the new release boots, the old one serves all that is asked for.
		d.load.Progress(t, 50)
		require.Equal(t, d.page(d.serving), d.c.get(t, "/").body)
		require.Equal(t, http.StatusOK, d.admin.get(t, "/readyz").StatusCode)
		if by != byRestartFile {
			require.Empty(t, done)
		}

		require.NoError(t, os.Remove(slow))
		r := <-done

		before := d.serving
		d.requireDone(n, by, r.told, r.err)
		d.load.Settle(t) // a page of it still needs its assets
		require.NoError(t, os.RemoveAll(d.release(before)))
		d.load.Progress(t, 20)
		d.requireServes()
		if held != nil {
			require.NoError(t, os.Remove(filepath.Join(d.dir, "shared", "hold")))
			a := <-held
			require.NoError(t, a.err)
			require.Equal(t, d.page(before), a.body, "a request that its release began")
		}
	}

	for pid := range d.s.processed(t) {
		release, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
		require.NoError(t, err)
		require.Equal(t, d.release(d.serving), release)
	}

	d.load.RequireNoneLost(t)
}
