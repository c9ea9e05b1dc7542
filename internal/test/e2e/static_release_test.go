package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// capistrano is a directory with releases, what they share, and a link to one of them.
type capistrano struct {
	testing.TB
	dir string
}

func (c *capistrano) current() string { return filepath.Join(c.dir, "current") }

func (c *capistrano) asset(n int) string { return fmt.Sprintf("/assets/app-0a1b2c%02d.js", n) }

func (c *capistrano) release(n int) string { return filepath.Join(c.dir, "releases", fmt.Sprint(n)) }

// deploy makes a release and switches the link.
func (c *capistrano) deploy(n int) {
	c.Helper()
	c.make(n)
	c.use(n)
}

// use switches the link.
func (c *capistrano) use(n int) {
	c.Helper()
	require.NoError(c, os.Symlink(c.release(n), c.current()+".new"))
	require.NoError(c, os.Rename(c.current()+".new", c.current()))
}

// make makes a release, whose files are newer than those of the one before.
func (c *capistrano) make(n int) {
	c.Helper()

	release := c.release(n)
	for name, text := range map[string]string{
		"shared/tmp/.keep":                                 "",
		"shared/public/uploads/photo.txt":                  "a photo",
		fmt.Sprintf("releases/%d/public/page.txt", n):      fmt.Sprint(n),
		fmt.Sprintf("releases/%d/public%s", n, c.asset(n)): fmt.Sprint(n),
	} {
		path := filepath.Join(c.dir, name)
		if _, err := os.Stat(path); err == nil {
			continue // it is shared, and may be being read
		}

		require.NoError(c, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(c, os.WriteFile(path, []byte(text), 0o644))
		made := time.Now().Add(time.Duration(n-1000) * time.Minute)
		require.NoError(c, os.Chtimes(path, made, made))
	}

	require.NoError(c, os.Symlink(filepath.Join(c.dir, "shared/tmp"), filepath.Join(release, "tmp")))
	require.NoError(c, os.Symlink("../../../shared/public/uploads", filepath.Join(release, "public/uploads")))
}

// Static files come from the release that serves, by whatever it came to serve.
func TestStaticFollowsReleases(t *testing.T) {
	t.Parallel()
	d := &capistrano{TB: t, dir: t.TempDir()}
	d.deploy(1)
	s := start(t, &launch{dir: d.current(), args: testApp(t)})
	s.requireApps(t, 1)
	c := s.client(t)
	require.Equal(t, http.StatusOK, c.get(t, "/pid").StatusCode, "its release serves")
	require.Equal(t, "1", c.get(t, "/page.txt").body)
	require.Equal(t, "a photo", c.get(t, "/uploads/photo.txt").body)
	fds := s.fds(t)

	for i, by := range []struct {
		name string
		do   func()
	}{
		{"restart-app", func() {
			cmd := exec.CommandContext(t.Context(), filepath.Join(built, "passenger"), "restart-app", d.current())
			cmd.Env, cmd.Dir = s.Cmd.Env, s.Dir
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}},
		{"restart.txt", func() {
			require.NoError(t, os.WriteFile(filepath.Join(d.current(), "tmp/restart.txt"), nil, 0o600))
		}},
		{"reload", func() {
			out, err := s.reload(t)
			require.NoError(t, err, out)
		}},
	} {
		n := i + 2
		d.deploy(n)
		require.Equal(t, fmt.Sprint(n-1), c.get(t, "/page.txt").body, "%s: the old release serves", by.name)
		require.Equal(t, fmt.Sprint(n-1), c.get(t, d.asset(n-1)).body, by.name)

		by.do()
		eventuallyWithin(t, deadline, func() error {
			// The application looks for restart.txt when it is asked.
			require.Equal(t, http.StatusOK, c.get(t, "/pid").StatusCode)
			if body := c.get(t, "/page.txt").body; body != fmt.Sprint(n) {
				return errors.New(by.name + ": the page is of release " + body)
			}

			return nil
		})
		require.Equal(t, fmt.Sprint(n), c.get(t, d.asset(n)).body, by.name)
		require.Equal(t, "a photo", c.get(t, "/uploads/photo.txt").body, by.name)

		for old := 1; old < n; old++ {
			require.Equal(t, fmt.Sprint(old), c.get(t, d.asset(old)).body, "%s: pages of it may be open", by.name)
		}

		if by.name == "reload" {
			continue // its server is another one
		}

		eventually(t, func() error {
			if now := s.fds(t); now > fds+4 { // processes that end may have some still
				return fmt.Errorf("there are %d descriptors, and were %d: no handle of a release is kept", now, fds)
			}

			return nil
		})
	}

	header := c.get(t, d.asset(4)).Header
	require.Equal(t, "public, max-age=31536000, immutable", header.Get("Cache-Control"))
	require.NotEmpty(t, header.Get("ETag"))
}

// The archive of each release gives its files the same time, as do images of containers and reproducible builds.
func TestStaticOfReleasesOfOneTime(t *testing.T) {
	t.Parallel()
	d := &capistrano{TB: t, dir: t.TempDir()}
	built := time.Unix(1_700_000_000, 0)
	deploy := func(n int) {
		d.make(n)
		path := filepath.Join(d.release(n), "public/page.txt")
		require.NoError(t, os.Chtimes(path, built, built))
		d.use(n)
	}

	deploy(1)
	s := start(t, &launch{dir: d.current(), args: testApp(t)})
	s.requireApps(t, 1)
	c := s.client(t)
	tag := c.get(t, "/page.txt").Header.Get("ETag")
	require.Equal(t, http.StatusNotModified, c.get(t, "/page.txt", "If-None-Match", tag).StatusCode)

	deploy(2)
	out, err := s.reload(t)
	require.NoError(t, err, out)
	page := c.get(t, "/page.txt", "If-None-Match", tag)
	require.Equal(t, http.StatusOK, page.StatusCode, "what a browser has is of another release")
	require.Equal(t, "2", page.body)
}
