// Package procstat reads what the system knows of processes: their memory, CPU
// time, owner and command. What cannot be read is unknown, never zero.
//
// It reads Linux's /proc. Elsewhere everything is unknown.
package procstat

import "time"

// Process is what could be read of one process. Sizes are in bytes. Everything
// but PID may be unknown; what a zombie or a kernel thread has no memory for
// always is. The values are read one after the other, not at one instant.
type Process struct {
	PID int `json:"pid"`

	// State is a letter as ps prints it, such as R, S, D or Z.
	State Value[string] `json:"state"`
	PPID  Value[int]    `json:"ppid"`
	// PGID is the process group.
	PGID Value[int] `json:"pgid"`
	// UID is the effective user.
	UID Value[int] `json:"uid"`
	// Command is the command line or what the process has set in its place, as
	// ps prints it: words separated by spaces, control characters replaced by
	// question marks, without a command line the program's name in brackets. It
	// is valid UTF-8 and has at most MaxCommand bytes.
	Command Value[string] `json:"command"`

	// StartTime has the resolution of StartTicks, and that of the system's boot
	// time, which is a second. It moves when the system's clock is set.
	StartTime Value[time.Time] `json:"startTime"`
	// StartTicks is when the process started, in hundredths of a second since
	// the system did. With PID it tells a process from a later one of the same
	// number.
	StartTicks Value[uint64] `json:"startTicks"`

	// CPUTime is what the process has used in user and system mode, without its
	// children, in hundredths of a second.
	CPUTime Value[time.Duration] `json:"cpuTimeNs"`
	// CPU is in percent of one processor, between two samples of a Sampler; it
	// is unknown at the first.
	CPU Value[float64] `json:"cpu"`

	// VMSize is the size of the address space.
	VMSize Value[int64] `json:"vmSize"`
	// RSS is the memory that is resident.
	RSS Value[int64] `json:"rss"`
	// PSS is RSS with what n processes share counted as an n-th.
	PSS Value[int64] `json:"pss"`
	// PrivateDirty is what is resident, changed, and not shared with another process.
	PrivateDirty Value[int64] `json:"privateDirty"`
	// Swap is what was swapped out.
	Swap Value[int64] `json:"swap"`

	// Processes is of how many processes the sizes, CPUTime and CPU are; see
	// Sampler.SampleTrees. Zero means of this one alone.
	Processes int `json:"processes,omitempty"`

	// childrenTime is the CPU time of ended children.
	childrenTime time.Duration
}

// MaxCommand is the most bytes that Process.Command has.
const MaxCommand = 4096

// Same reports whether q is about the same process as p, rather than a later
// one of the same number. Without a known start it reports false.
func (p Process) Same(q Process) bool {
	start, known := p.StartTicks.Get()
	return known && p.PID == q.PID && q.StartTicks == Known(start)
}

// Zombie reports whether the process is known to have ended, unreaped.
func (p Process) Zombie() bool { return p.State == Known("Z") }

// RealMemory is what would be free without the process, in bytes: its private
// dirty memory or, while that is unknown, its resident memory, and what is known
// to be swapped out.
func (p Process) RealMemory() Value[int64] {
	resident, known := p.PrivateDirty.Get()
	if !known {
		resident, known = p.RSS.Get()
	}

	if !known {
		return Value[int64]{}
	}

	return Known(resident + p.Swap.Or(0))
}
