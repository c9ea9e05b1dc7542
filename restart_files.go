package passenger

import (
	"os"
	"path/filepath"
	"time"
)

// The files in Options.RestartDir by which an application is restarted.
const (
	restartFile       = "restart.txt"
	alwaysRestartFile = "always_restart.txt"
)

// restartWatch is what is known of a group's restart files.
type restartWatch struct {
	// next is when they are looked at again.
	next  time.Duration
	known bool
	seen  restartFiles
}

// restartFiles is one look at them.
type restartFiles struct {
	// touched is when restart.txt was; zero: there is none.
	touched time.Time
	always  bool
}

func lookAtRestartFiles(dir string) (f restartFiles) {
	if info, err := os.Stat(filepath.Join(dir, restartFile)); err == nil {
		f.touched = info.ModTime()
	}
	_, err := os.Stat(filepath.Join(dir, alwaysRestartFile))
	f.always = err == nil
	return f
}

// watchDue says whether a get has to look at the files before it goes on. Only
// one in each interval does, unless the application is to be restarted always.
func (g *group) watchDue() bool {
	if g.restart != nil {
		return false
	}
	now := g.pool.now()
	if now < g.watch.next && !g.watch.seen.always {
		return false
	}
	g.watch.next = now + g.opts.statThrottle()
	return true
}

// watched takes the result of a look.
func (g *group) watched(fx *effects, now restartFiles) {
	before, known := g.watch.seen, g.watch.known
	g.watch.seen, g.watch.known = now, true
	switch {
	case !known || g.restart != nil:
	case now.always:
		// Whoever wants that wants to see what has just been written.
		g.beginRestart(fx, &RestartOptions{Method: RestartBlocking}, nil)
	case !now.touched.IsZero() && !now.touched.Equal(before.touched):
		g.beginRestart(fx, &RestartOptions{}, nil)
	}
}
