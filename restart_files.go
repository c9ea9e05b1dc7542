package passenger

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The files in Options.RestartDir that ask for a restart.
const (
	restartFile       = "restart.txt"
	alwaysRestartFile = "always_restart.txt"
)

// restartWatch is what a group knows about its restart files.
type restartWatch struct {
	// next is the earliest time of the next look at them.
	next  time.Duration
	known bool
	seen  restartFiles
	// begun numbers the looks, and taken is the latest one whose result was used. Looks happen
	// without the lock, and may overtake each other.
	begun, taken uint64
}

// setBaseline takes what is there before the first process for what it is compared with. It changes
// nothing that is known.
func (w *restartWatch) setBaseline(files restartFiles) {
	if !w.known {
		w.known, w.seen = true, files
	}
}

// fileCheck is one look at the restart files of a group.
type fileCheck struct {
	group  *group
	number uint64
	rights fileRights
}

// fileRights runs a function that looks at files with the rights of an application's user; nil means those of this
// program.
type fileRights func(f func() error) error

// fileRightsLocked returns those of the group's processes. While there are none, nothing comes of a look.
func (g *group) fileRightsLocked() fileRights {
	for pr := range g.allProcesses {
		return pr.info.WithRights
	}

	return nil
}

// restartFiles is the result of one look.
type restartFiles struct {
	// touched is the modification time of restart.txt; zero means that there is none.
	touched time.Time
	always  bool
}

func statRestartFiles(dir string, rights fileRights) (f restartFiles) {
	if info, err := rights.stat(filepath.Join(dir, restartFile)); err == nil {
		f.touched = info.ModTime()
	}

	_, err := rights.stat(filepath.Join(dir, alwaysRestartFile))
	f.always = err == nil

	return f
}

// stat follows a link with the rights of the application's user, who would else learn by restarts which files there are
// and when they change, wherever root can look.
func (r fileRights) stat(path string) (info fs.FileInfo, err error) {
	if info, err = os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeSymlink {
		return info, err
	}

	follow := func() error {
		info, err = os.Stat(path)
		return err
	}
	if r == nil {
		err = follow()
	} else {
		err = r(follow)
	}

	return info, err
}

// startFileCheckLocked reports whether a get has to look at the files first. One in each interval
// does, and each one while always_restart.txt is there.
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

	return fileCheck{g, g.watch.begun, g.fileRightsLocked()}, true
}

// finish uses the result of a look. It ignores a look that is older than what is known, and one
// during a restart, so that the next look still sees the change. Neither a removed group nor a pool
// that closes restarts. The new release takes opts, those of the get that looked.
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
		// Blocking, since this request is to be served by the code that was just written.
		g.beginRestart(fx, &RestartOptions{Method: RestartBlocking, Options: opts.forGroup()}, nil)
	case !now.touched.IsZero() && !now.touched.Equal(before.touched):
		g.beginRestart(fx, &RestartOptions{Options: opts.forGroup()}, nil)
	}
}

// forGroup returns what a group keeps of the options of a get, or nil if they are invalid, which
// gets of a known group are not checked for.
func (o *Options) forGroup() *Options {
	if o.Validate() != nil {
		return nil
	}

	kept := o.clone()
	kept.StickySessionID = 0

	return &kept
}
