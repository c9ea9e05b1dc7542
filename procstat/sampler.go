package procstat

import (
	"fmt"
	"io/fs"
	"time"
)

// minInterval is the least time that CPU percents are calculated over. CPU time
// comes in hundredths of a second.
const minInterval = 100 * time.Millisecond

// Sampler reads processes again and again, which their CPU percents need. Its
// zero value is ready for use. It is for one goroutine at a time.
type Sampler struct {
	// Root is where the system's proc file system is; empty means /proc.
	Root string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Marker is the name of the environment variable that Root.Mark is about;
	// empty means that there is none.
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

// unknown are processes of which nothing is known.
func unknown(pids []int) map[int]Process {
	processes := make(map[int]Process, len(pids))
	for _, pid := range pids {
		processes[pid] = Process{PID: pid}
	}

	return processes
}

// usage is how much CPU time a process had used at a time.
type usage struct {
	start   uint64
	at      time.Time
	time    time.Duration
	percent Value[float64]
}

// Read reads one process. Its CPU percent is unknown. The error is
// fs.ErrNotExist when there is no such process, and errors.ErrUnsupported when
// processes cannot be read on this system. Read may be called concurrently.
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

// Sample reads processes, each of which costs some system calls and, for its
// memory, a walk of the kernel's over its pages. A process that does not exist
// is missing from what is returned; one that is hidden from us is there, with
// everything unknown. So are all when processes cannot be read on this system,
// of which the error, an errors.ErrUnsupported, tells.
//
// CPU percents are those since the last call with the same process, unless that
// was less than a tenth of a second ago: then they are what they were. Sample
// forgets processes that are not in pids.
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

// after returns u with its percent, or what it was, when that is too recent.
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
