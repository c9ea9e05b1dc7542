package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/ownfile"
	"github.com/gopassenger/passenger/spawner"
)

// maxReports is how many reports of failed starts are kept in a directory.
const maxReports = 20

var reportName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^passenger-error-[0-9a-f]{8}\.html$`)
})

// reporter writes a report of each failed start, as files that only the server's user
// can read, before the next hook gets it. It is called where no request waits for a
// disk.
type reporter struct {
	dir  string
	next *hooks.Scripts // nil means none
	log  logr.Logger

	mu sync.Mutex
}

// Has is that of a hook for some events only.
func (r *reporter) Has(name hooks.Name) bool {
	return name == hooks.SpawnFailed || r.next != nil && r.next.Has(name)
}

// Run is a hook's.
func (r *reporter) Run(ctx context.Context, e hooks.Event) error {
	if failure, ok := errors.AsType[*spawner.SpawnError](e.Err); ok && e.Name == hooks.SpawnFailed {
		path, err := r.write(failure)
		if err != nil {
			r.log.Error(err, "cannot write a report of a failed start: make room in error_report_dir, or correct "+
				"its rights", "id", failure.ID)
		} else {
			e.ErrorReport = path
			r.log.Info("wrote a report of a failed start", "id", failure.ID, "file", path)
		}
	}

	if r.next == nil || !r.next.Has(e.Name) {
		return nil
	}

	return r.next.Run(ctx, e)
}

// write leaves nothing of a report that it cannot finish.
func (r *reporter) write(failure *spawner.SpawnError) (path string, err error) {
	name := "passenger-error-" + failure.ID + ".html"
	// Another name could leave the directory, and prune would never remove the file.
	if !reportName().MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of a file", failure.ID)
	}

	page, err := handler.ErrorReport(failure)
	if err != nil {
		return "", err
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	root, err := ownfile.OpenDirectory(reportDirOption, r.dir)
	if err != nil {
		return "", err
	}

	defer func() { err = errors.Join(err, root.Close()) }()

	// Before the new one is there, so that there is room for it.
	prune(root, maxReports-1)
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", err
	}

	_, err = f.Write(page)
	if err = errors.Join(err, f.Close()); err != nil {
		// Half a page would be worse than none.
		return "", errors.Join(err, root.Remove(name))
	}

	return filepath.Join(r.dir, name), nil
}

// prune removes the oldest reports but for some.
func prune(root *os.Root, keep int) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		// The next file tells what is wrong.
		return
	}

	var reports []fs.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && reportName().MatchString(entry.Name()) {
			reports = append(reports, info)
		}
	}

	// Those of a clock that was set back since are the oldest, whatever they say.
	latest := time.Now().Add(time.Minute)
	written := func(info fs.FileInfo) time.Time {
		if info.ModTime().After(latest) {
			return time.Time{}
		}

		return info.ModTime()
	}
	slices.SortFunc(reports, func(a, b fs.FileInfo) int { return written(a).Compare(written(b)) })

	for _, info := range reports[:max(0, len(reports)-keep)] {
		// It may be gone already.
		_ = root.Remove(info.Name())
	}
}

const reportDirOption = "error_report_dir"

// validateReports finds out now what reports could not be written for.
func (c *Config) validateReports() error {
	if c.ErrorReportDir == "" {
		return nil
	}

	root, err := ownfile.OpenDirectory(reportDirOption, c.ErrorReportDir)
	if err != nil {
		return err
	}

	if err := checkWritable(c.ErrorReportDir); err != nil {
		return errors.Join(fmt.Errorf("%s cannot be used: %w", reportDirOption, withOption(err, "--error-report-dir")),
			root.Close())
	}

	return root.Close()
}
