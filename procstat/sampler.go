package procstat

import (
	"fmt"
	"io/fs"
	"time"
)

// minInterval is the minimum time that CPU percentages are calculated over, since CPU time has a
// resolution of a hundredth of a second.
const minInterval = 100 * time.Millisecond

// Sampler reads processes at intervals, which their CPU percentages need. Its zero value is ready
// for use. It is not safe for concurrent use.
type Sampler struct {
	// Root is the mount point of the proc file system; empty means /proc.
	Root string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Marker is the name of the environment variable for Root.Mark; empty means that there is none.
	Marker string

	last   map[int]usage
	trees  map[int]treeUsage
	forest forest
}

func (s *Sampler) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}

	return time.Now()
}

// unknown returns processes without any known value.
func unknown(pids []int) map[int]Process {
	processes := make(map[int]Process, len(pids))
	for _, pid := range pids {
		processes[pid] = Process{PID: pid}
	}

	return processes
}

// usage is the CPU time that a process had used at a time.
type usage struct {
	start   uint64
	at      time.Time
	time    time.Duration
	percent Value[float64]
}

// Read reads one process. Its CPU percentage is unknown. Read may be called concurrently.
//
// Errors: fs.ErrNotExist if there is no such process; errors.ErrUnsupported if processes cannot be
// read on this system.
func Read(pid int) (Process, error) {
	var s Sampler
	processes, err := s.Sample([]int{pid})
	if err != nil {
		return Process{PID: pid}, err
	}

	p, ok := processes[pid]
	if !ok {
		return Process{PID: pid}, fmt.Errorf("process %d: %w", pid, fs.ErrNotExist)
	}

	return p, nil
}

// Sample reads processes. Each costs some system calls and, for its memory, a walk of the kernel
// over its pages. A process that does not exist is missing from the result. One that the system
// hides is there, with everything unknown; so are all if processes cannot be read on this system,
// and then the error is errors.ErrUnsupported.
//
// CPU percentages are for the time since the last call with the same process. If that was less than
// a tenth of a second ago, they stay what they were. Sample forgets processes that are not in pids.
func (s *Sampler) Sample(pids []int) (map[int]Process, error) {
	r, err := newReader(s.Root)
	if err != nil {
		return unknown(pids), err
	}

	processes := make(map[int]Process, len(pids))
	last := s.last

	s.last = make(map[int]usage, len(pids))
	for _, pid := range pids {
		if _, twice := processes[pid]; twice {
			continue
		}

		at := s.now()
		p, exists := r.read(pid)
		if !exists {
			continue
		}

		p.childrenTime = 0
		start, known := p.StartTicks.Get()
		if cpuTime, ok := p.CPUTime.Get(); ok && known {
			u := usage{start: start, at: at, time: cpuTime}.after(last[pid])
			p.CPU = u.percent
			s.last[pid] = u
		}

		processes[pid] = p
	}

	return processes, nil
}

// after returns u with its percentage, or before if that is too recent.
func (u usage) after(before usage) usage {
	if before.at.IsZero() || before.start != u.start || u.time < before.time {
		return u
	}

	elapsed := u.at.Sub(before.at)
	if elapsed < minInterval {
		return before
	}

	u.percent = Known(100 * float64(u.time-before.time) / float64(elapsed))

	return u
}
