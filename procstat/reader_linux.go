package procstat

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"github.com/gopassenger/passenger/internal/printable"
)

// tick is the unit of the kernel's times.
const tick = time.Second / 100

// reader reads processes from a proc file system.
type reader struct {
	fs   procfs.FS
	root string
	boot Value[time.Time]
}

func newReader(root string) (*reader, error) {
	if root == "" {
		root = procfs.DefaultMountPoint
	}

	// An empty directory, where nothing is mounted, would look like the end of all processes.
	if _, err := os.Lstat(filepath.Join(root, "self")); err != nil {
		return nil, unsupported(err)
	}

	proc, err := procfs.NewFS(root)
	if err != nil {
		return nil, unsupported(err)
	}

	r := &reader{fs: proc, root: root}
	if stat, err := parse(proc.Stat); err == nil && stat.BootTime > 0 {
		r.boot = Known(time.Unix(int64(stat.BootTime), 0)) //nolint:gosec // G115: seconds since 1970
	}

	return r, nil
}

// unsupported hides what err is, which may be fs.ErrNotExist.
func unsupported(err error) error {
	//nolint:errorlint // see above
	return fmt.Errorf("%w: there is no proc file system: %v", errors.ErrUnsupported,
		err)
}

// read reads what it can, and reports whether the process exists.
func (r *reader) read(pid int) (_ Process, exists bool) {
	p := Process{PID: pid}
	if pid <= 0 {
		return p, false
	}

	proc, err := r.fs.Proc(pid)
	if err != nil {
		return p, !gone(err) || r.hidden(pid)
	}

	stat, err := parse(proc.Stat)
	if err == nil {
		r.addStat(&p, &stat)
	} else if gone(err) {
		return p, false
	}

	// If the first and the last of these fields were read, so was the owner between them.
	if status, err := parse(proc.NewStatus); err == nil && status.TGID > 0 && len(status.NSpids) > 0 {
		p.UID = Known(int(status.UIDs[1])) //nolint:gosec // G115: it has 32 bits
	}

	if words, err := parse(proc.CmdLine); err == nil {
		p.Command = command(words, stat.Comm, p.Zombie())
	}

	readMaps(&p, proc)

	return p, true
}

// readUse reads only what a process uses.
func (r *reader) readUse(pid int) (_ Process, exists bool) {
	p := Process{PID: pid}
	proc, err := r.fs.Proc(pid)
	if err != nil {
		return p, false
	}

	stat, err := parse(proc.Stat)
	if err != nil {
		return p, false
	}

	r.addStat(&p, &stat)

	readMaps(&p, proc)

	return p, true
}

// gone reports whether err means that the process has ended.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// hidden reports whether a process exists that /proc does not show, as with its
// option hidepid=invisible.
func (r *reader) hidden(pid int) bool {
	// kill(2): signal 0 only asks, and EPERM means that there is such a process. The numbers are those of /proc.
	return r.root == procfs.DefaultMountPoint && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// parse calls read, which may panic when a file ends early.
func parse[T any](read func() (T, error)) (_ T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", procfs.ErrFileParse, r)
		}
	}()

	return read()
}

func (r *reader) addStat(p *Process, stat *procfs.ProcStat) {
	p.State = Known(stat.State)
	p.PPID = Known(stat.PPID)
	p.PGID = Known(stat.PGRP)
	p.StartTicks = Known(stat.Starttime)
	if boot, ok := r.boot.Get(); ok {
		p.StartTime = Known(boot.Add(ticks(stat.Starttime)))
	}

	p.CPUTime = Known(ticks(uint64(stat.UTime) + uint64(stat.STime)))
	p.childrenTime = ticks(uint64(max(stat.CUTime, 0)) + uint64(max(stat.CSTime, 0)))
	// Zombies and kernel threads have no memory, which is not the same as zero.
	if stat.VSize > 0 {
		p.VMSize = Known(int64(stat.VSize)) //nolint:gosec // G115: an address space is smaller
		p.RSS = Known(int64(stat.ResidentMemory()))
	}
}

func ticks(n uint64) time.Duration { return time.Duration(n) * tick } //nolint:gosec // G115: some years

// addMaps adds the sums of the process's mappings. A process without any has no memory any more.
func addMaps(p *Process, maps *procfs.ProcSMapsRollup) {
	if maps.Rss == 0 && maps.Swap == 0 {
		return
	}

	p.PSS = size(maps.Pss)
	p.PrivateDirty = size(maps.PrivateDirty)
	p.Swap = size(maps.Swap)
}

func readMaps(p *Process, proc procfs.Proc) {
	_ = asOwner(proc, func() error { // what cannot be read is unknown
		maps, err := parse(proc.ProcSMapsRollup)
		if err == nil {
			addMaps(p, &maps)
		}

		return err
	})
}

func size(n uint64) Value[int64] { return Known(int64(n)) } //nolint:gosec // G115: memory is smaller

func command(words []string, comm string, zombie bool) Value[string] {
	s := strings.TrimRight(strings.Join(words, " "), " ")
	switch {
	case s != "":
	case comm == "":
		return Value[string]{}
	case zombie:
		s = "[" + comm + "] <defunct>"
	default:
		s = "[" + comm + "]"
	}

	return Known(shortLine(s))
}

func shortLine(s string) string {
	s = printable.Line(strings.ToValidUTF8(s, "?"))
	if len(s) <= MaxCommand {
		return s
	}

	return strings.ToValidUTF8(s[:MaxCommand], "")
}
