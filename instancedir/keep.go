package instancedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone is why an instance cannot go on with its directory: that, or something
// in it, was removed or replaced by another process.
var ErrGone = errors.New("the instance directory is gone")

const (
	// DefaultTouchInterval is short beside the age at which what cleans up /tmp
	// removes a file.
	DefaultTouchInterval = time.Hour
	// checkInterval is how long it may take until Keep sees that the directory
	// is gone.
	checkInterval = 3 * time.Second
	touchRetry    = 2 * time.Minute
)

// maxTouched is how many entries of one directory are touched at most.
const maxTouched = 10_000

// Check returns an error that is ErrGone if tools and agents do not find the
// directory any more, or not with everything that must be in it.
func (d *Dir) Check() error { return d.do(d.check) }

func (d *Dir) check() error {
	var st unix.Stat_t
	// By its path, as tools look for it: the open directory remains after its removal.
	if err := unix.Lstat(d.Path(), &st); err != nil {
		return gone(d.Path(), err)
	}

	if idOf(&st) != d.id {
		return fmt.Errorf("%w: %s was replaced by something else", ErrGone, d.Path())
	}

	for name, id := range d.entries {
		st, err := d.dir.Lstat(name)
		if err != nil {
			return gone(d.dir.path(name), err)
		}

		if idOf(st) != id {
			return fmt.Errorf("%w: %s was replaced by something else", ErrGone, d.dir.path(name))
		}
	}

	return nil
}

// gone leaves out the system's error if it says the same.
func gone(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s was removed", ErrGone, path)
	}

	return fmt.Errorf("%w: cannot see %s: %w", ErrGone, path, err)
}

// Touch gives the directory and everything in it the present time, so that what
// removes old files from /tmp leaves it alone.
func (d *Dir) Touch() error { return d.do(d.touch) }

func (d *Dir) touch() error {
	errs := []error{d.dir.touch("."), touchAll(d.dir, false)}
	for _, name := range []string{agentSocketsName, appSocketsName} {
		sub, err := d.dir.openDirectory(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}

		errs = append(errs, touchAll(sub, name == appSocketsName), sub.Close())
	}

	return errors.Join(errs...)
}

var errEnough = errors.New("there are too many to touch")

// touchAll touches what is in a directory. Where others put something, that is
// sockets and directories only, not files that a hard link could have brought.
func touchAll(in directory, others bool) error {
	left := maxTouched
	err := in.Each(func(name string) error {
		if left--; left < 0 {
			return errEnough
		}

		if others {
			st, err := in.Lstat(name)
			if err != nil {
				return ignoreGone(err)
			}

			if t := fileType(st); t != unix.S_IFSOCK && t != unix.S_IFDIR {
				return nil
			}
		}

		return ignoreGone(in.touch(name))
	})
	if errors.Is(err, errEnough) {
		return nil
	}

	return err
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	return err
}

// Keep looks after the directory until ctx ends, and returns nil then, or until
// Remove or Close, which is ErrRemoved. It touches everything each interval, zero
// being DefaultTouchInterval, and looks each checkInterval whether the directory
// is still there: what it returns is ErrGone if it is not. failed, unless it is
// nil, gets the error when nothing could be touched; the next try is after 2 minutes.
func (d *Dir) Keep(ctx context.Context, interval time.Duration, failed func(error)) error {
	if interval <= 0 {
		interval = DefaultTouchInterval
	}

	check := time.NewTicker(checkInterval)
	defer check.Stop()
	touch := time.NewTimer(interval)
	defer touch.Stop()

	for {
		select {
		case <-ctx.Done():
			return nil
		case <-check.C:
			if err := d.Check(); err != nil {
				return err
			}
		case <-touch.C:
			next := interval
			if err := d.Touch(); err != nil {
				if errors.Is(err, ErrRemoved) {
					return err
				}

				next = min(next, touchRetry)
				if failed != nil {
					failed(err)
				}
			}

			touch.Reset(next)
		}
	}
}
