// Package procstat reads what the system reports about processes: memory, CPU time, owner and
// command. A value that cannot be read is unknown, never zero.
//
//	process, err := procstat.Read(os.Getpid())
//	if memory, known := process.RealMemory().Get(); known {
//		fmt.Println(memory>>20, "MiB")
//	}
//
// [Read] reads one process once. A [Sampler] reads processes at intervals, which CPU percentages
// need, and together with their descendants by SampleTrees.
//
// The package reads Linux's /proc. On other systems everything is unknown.
package procstat

import "time"

// Process is what could be read about one process. Sizes are in bytes. Every field but PID may be
// unknown; those about memory are for a zombie or a kernel thread, which have none. The values are
// read one after the other, not at one instant.
type Process struct {
	PID int `json:"pid"`

	// State is a letter as ps prints it, such as R, S, D or Z.
	State Value[string] `json:"state"`
	PPID  Value[int]    `json:"ppid"`
	// PGID is the process group.
	PGID Value[int] `json:"pgid"`
	// UID is the effective user.
	UID Value[int] `json:"uid"`
	// Command is the command line, or what the process has set in its place, as ps prints it: words
	// separated by spaces, control characters replaced by question marks. Without a command line,
	// it is the name of the program in brackets. It is valid UTF-8 and has at most MaxCommand
	// bytes.
	Command Value[string] `json:"command"`

	// StartTime is when the process started. Its resolution is that of the boot time, a second. It
	// moves when the clock of the system is set.
	StartTime Value[time.Time] `json:"startTime"`
	// StartTicks is when the process started, in hundredths of a second since the boot. With PID it
	// tells a process from a later one of the same number.
	StartTicks Value[uint64] `json:"startTicks"`

	// CPUTime is the time that the process has used in user and system mode, without its children,
	// with a resolution of a hundredth of a second.
	CPUTime Value[time.Duration] `json:"cpuTimeNs"`
	// CPU is in percent of one processor, between two samples of a Sampler. It is unknown at the
	// first.
	CPU Value[float64] `json:"cpu"`

	// VMSize is the size of the address space.
	VMSize Value[int64] `json:"vmSize"`
	// RSS is the resident memory.
	RSS Value[int64] `json:"rss"`
	// PSS is RSS with memory that n processes share counted as an n-th.
	PSS Value[int64] `json:"pss"`
	// PrivateDirty is the resident memory that was changed and is not shared.
	PrivateDirty Value[int64] `json:"privateDirty"`
	// Swap is the memory that was swapped out.
	Swap Value[int64] `json:"swap"`

	// Processes is the number of processes that the sizes, CPUTime and CPU are the sums of; see
	// Sampler.SampleTrees. Zero means this process alone.
	Processes int `json:"processes,omitempty"`

	// childrenTime is the CPU time of ended children.
	childrenTime time.Duration
}

// MaxCommand limits Process.Command, in bytes.
const MaxCommand = 4096

// Same reports whether p and q are the same process, and not a later one of the same number.
// Without a known start it returns false.
func (p Process) Same(q Process) bool {
	start, known := p.StartTicks.Get()
	return known && p.PID == q.PID && q.StartTicks == Known(start)
}

// Zombie reports whether the process is known to have ended without being reaped.
func (p Process) Zombie() bool { return p.State == Known("Z") }

// RealMemory is the memory, in bytes, that would be free without the process: its private dirty
// memory, or its resident memory if that is unknown, and what is known to be swapped out.
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
