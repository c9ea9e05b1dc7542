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
	// begun counts the looks, and taken is the last one whose result counted:
	// they go on without the lock and may overtake each other.
	begun, taken uint64
}

// fileCheck is one look at a group's files.
type fileCheck struct {
	group  *group
	number uint64
}

// restartFiles is one look at them.
type restartFiles struct {
	// touched is when restart.txt was; zero: there is none.
	touched time.Time
	always  bool
}

func statRestartFiles(dir string) (f restartFiles) {
	if info, err := os.Stat(filepath.Join(dir, restartFile)); err == nil {
		f.touched = info.ModTime()
	}

	_, err := os.Stat(filepath.Join(dir, alwaysRestartFile))
	f.always = err == nil

	return f
}

// startFileCheckLocked says whether a get has to look at the files before it goes on. Only
// one in each interval does, unless the application is to be restarted always.
func (g *group) startFileCheckLocked() (c fileCheck, due bool) {
	if g.restart != nil {
		return fileCheck{}, false
	}

	now := g.pool.now()
	if now < g.watch.next && !g.watch.seen.always {
		return fileCheck{}, false
	}

	g.watch.next = now + g.opts.statThrottle()
	g.watch.begun++

	return fileCheck{g, g.watch.begun}, true
}

// finish takes the result of a look. One that is older than what is known says
// nothing, and one during a restart is left to the next, so that no change is
// forgotten. The application may have been detached meanwhile, and the pool may be
// closing: neither restarts anything. The new release is what opts say, those of the
// get that has looked.
func (c fileCheck) finish(fx *effects, now restartFiles, opts *Options) {
	g := c.group
	if g.removed || g.pool.state != poolOpen || c.number < g.watch.taken || g.restart != nil {
		return
	}

	before, known := g.watch.seen, g.watch.known

	g.watch.seen, g.watch.known, g.watch.taken = now, true, c.number
	switch {
	case !known:
	case now.always:
		// Whoever wants that wants to see what has just been written.
		g.beginRestart(fx, &RestartOptions{Method: RestartBlocking, Options: opts.forGroup()}, nil)
	case !now.touched.IsZero() && !now.touched.Equal(before.touched):
		g.beginRestart(fx, &RestartOptions{Options: opts.forGroup()}, nil)
	}
}

// forGroup returns what a group may keep of the options of a get; nil if they are
// at fault, which nobody had to look at before.
func (o *Options) forGroup() *Options {
	if o.Validate() != nil {
		return nil
	}

	kept := o.clone()
	kept.StickySessionID = 0

	return &kept
}
