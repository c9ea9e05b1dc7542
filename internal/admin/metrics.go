package admin

import (
	"time"
)

// SystemMetrics are what the system does. Parts that were not asked for are nil,
// and what is unknown is null in JSON. Shares of time are in percent, sizes in
// bytes.
type SystemMetrics struct {
	At      time.Time       `json:"at"`
	Version string          `json:"version"`
	General *GeneralMetrics `json:"general,omitempty"`
	CPU     *CPUMetrics     `json:"cpu,omitempty"`
	Memory  *MemoryMetrics  `json:"memory,omitempty"`
}

// GeneralMetrics are those of the system as a whole.
type GeneralMetrics struct {
	Kernel  string    `json:"kernel"`
	Booted  time.Time `json:"booted"`
	Uptime  float64   `json:"uptimeSeconds"`
	Load1   float64   `json:"load1"`
	Load5   float64   `json:"load5"`
	Load15  float64   `json:"load15"`
	Count   int       `json:"processes"`
	Running uint64    `json:"processesRunning"`
	// ForkRate is how many processes are started in a second.
	ForkRate *float64 `json:"forkRate"`
}

// CPUMetrics are shares of the time since the last sample or, of the first, since
// a moment before it.
type CPUMetrics struct {
	Count   int        `json:"count"`
	Average CPUUsage   `json:"average"`
	CPUs    []CPUUsage `json:"cpus"`
}

// CPUUsage is how a processor spends its time. Usage is what is not idle, nor
// waiting for disks.
type CPUUsage struct {
	Usage  float64 `json:"usage"`
	User   float64 `json:"user"`
	Nice   float64 `json:"nice"`
	System float64 `json:"system"`
	IOWait float64 `json:"iowait"`
	Idle   float64 `json:"idle"`
	Steal  float64 `json:"steal"`
}

// MemoryMetrics are those of memory. Used is what is not available to processes.
type MemoryMetrics struct {
	Total     uint64 `json:"total"`
	Used      uint64 `json:"used"`
	Free      uint64 `json:"free"`
	SwapTotal uint64 `json:"swapTotal"`
	SwapUsed  uint64 `json:"swapUsed"`
	SwapFree  uint64 `json:"swapFree"`
	// SwapIn and SwapOut are bytes a second.
	SwapIn  *float64 `json:"swapInRate"`
	SwapOut *float64 `json:"swapOutRate"`
}

// Parts select metrics.
type Parts struct{ General, CPU, Memory bool }

// MetricsReader reads metrics again and again. Rates are those since the last
// time. Its zero value is ready; it is for one goroutine.
type MetricsReader struct {
	Version string

	last counters
}

// Only returns m with the wanted parts.
func (m SystemMetrics) Only(p Parts) SystemMetrics {
	if !p.General {
		m.General = nil
	}

	if !p.CPU {
		m.CPU = nil
	}

	if !p.Memory {
		m.Memory = nil
	}

	return m
}

// cpuTimes is how many seconds a processor has spent, in the order of CPUUsage.
type cpuTimes struct{ user, nice, system, iowait, idle, steal float64 }

// counters only grow.
type counters struct {
	at              time.Time
	total           cpuTimes
	cpus            []cpuTimes
	forks           uint64
	swapIn, swapOut uint64
	swapKnown       bool
}

// usage is what has been spent since before.
func (t cpuTimes) usage(before cpuTimes) CPUUsage {
	since := func(now, then float64) float64 { return max(now-then, 0) }
	u := CPUUsage{
		User:   since(t.user, before.user),
		Nice:   since(t.nice, before.nice),
		System: since(t.system, before.system),
		IOWait: since(t.iowait, before.iowait),
		Idle:   since(t.idle, before.idle),
		Steal:  since(t.steal, before.steal),
	}
	all := u.User + u.Nice + u.System + u.IOWait + u.Idle + u.Steal
	// Both readings may be within one tick of the clock.
	if all == 0 {
		return CPUUsage{Idle: 100}
	}

	for _, share := range []*float64{&u.User, &u.Nice, &u.System, &u.IOWait, &u.Idle, &u.Steal} {
		*share *= 100 / all
	}

	u.Usage = max(100-u.Idle-u.IOWait, 0)

	return u
}

// rate is how much a counter grows in a second, or nil.
func rate(now, before uint64, elapsed time.Duration) *float64 {
	if now < before || elapsed <= 0 {
		return nil
	}

	r := float64(now-before) / elapsed.Seconds()

	return &r
}
