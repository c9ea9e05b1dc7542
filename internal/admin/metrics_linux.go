package admin

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Read reads the metrics. Rates and shares of the first reading are those since
// the system started, where they can be known.
func (r *MetricsReader) Read() (SystemMetrics, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return SystemMetrics{}, fmt.Errorf("the system cannot be looked at: %w", err)
	}

	stat, err := proc.Stat()
	if err != nil {
		return SystemMetrics{}, fmt.Errorf("the processors cannot be looked at: %w", err)
	}

	now := newCounters(&stat)
	m := SystemMetrics{At: now.at, Version: r.Version}
	if m.General, err = general(proc, &stat); err != nil {
		return SystemMetrics{}, err
	}

	if m.Memory, err = memory(proc); err != nil {
		return SystemMetrics{}, err
	}

	m.CPU = now.cpu(&r.last)
	if !r.last.at.IsZero() {
		elapsed := now.at.Sub(r.last.at)
		m.General.ForkRate = rate(now.forks, r.last.forks, elapsed)
		if now.swapKnown && r.last.swapKnown {
			page := uint64(os.Getpagesize()) //nolint:gosec // G115: some thousands
			m.Memory.SwapIn = rate(now.swapIn*page, r.last.swapIn*page, elapsed)
			m.Memory.SwapOut = rate(now.swapOut*page, r.last.swapOut*page, elapsed)
		}
	}

	r.last = now

	return m, nil
}

func newCounters(stat *procfs.Stat) counters {
	c := counters{at: time.Now(), total: newCPUTimes(stat.CPUTotal), forks: stat.ProcessCreated}
	for i := int64(0); len(c.cpus) < len(stat.CPU); i++ {
		// Numbers may be missing, of processors that are switched off.
		if cpu, there := stat.CPU[i]; there {
			c.cpus = append(c.cpus, newCPUTimes(cpu))
		}
	}

	c.swapIn, c.swapOut, c.swapKnown = swapped()

	return c
}

func newCPUTimes(s procfs.CPUStat) cpuTimes {
	return cpuTimes{
		user:   s.User,
		nice:   s.Nice,
		system: s.System + s.IRQ + s.SoftIRQ,
		iowait: s.Iowait,
		idle:   s.Idle,
		steal:  s.Steal,
	}
}

func (c *counters) cpu(before *counters) *CPUMetrics {
	m := &CPUMetrics{Count: len(c.cpus), Average: c.total.usage(before.total), CPUs: []CPUUsage{}}
	for i, cpu := range c.cpus {
		var then cpuTimes
		// Otherwise processors were switched on or off, and the places have changed.
		if len(before.cpus) == len(c.cpus) {
			then = before.cpus[i]
		}

		m.CPUs = append(m.CPUs, cpu.usage(then))
	}

	return m
}

func general(proc procfs.FS, stat *procfs.Stat) (*GeneralMetrics, error) {
	load, err := proc.LoadAvg()
	if err != nil {
		return nil, fmt.Errorf("the load of the system cannot be read: %w", err)
	}

	processes, err := proc.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("the processes of the system cannot be counted: %w", err)
	}

	g := &GeneralMetrics{
		Load1:   load.Load1,
		Load5:   load.Load5,
		Load15:  load.Load15,
		Count:   len(processes),
		Running: stat.ProcessesRunning,
		Booted:  time.Unix(int64(stat.BootTime), 0), //nolint:gosec // G115: seconds since 1970
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		g.Uptime = float64(info.Uptime)
	}

	var name unix.Utsname
	if unix.Uname(&name) == nil {
		g.Kernel = unix.ByteSliceToString(name.Release[:])
	}

	return g, nil
}

func memory(proc procfs.FS) (*MemoryMetrics, error) {
	info, err := proc.Meminfo()
	if err != nil {
		return nil, fmt.Errorf("the memory of the system cannot be looked at: %w", err)
	}

	bytes := func(kB *uint64) uint64 {
		if kB == nil {
			return 0
		}

		return *kB << 10
	}
	m := &MemoryMetrics{Total: bytes(info.MemTotal), SwapTotal: bytes(info.SwapTotal), SwapFree: bytes(info.SwapFree)}
	// Kernels before 3.14 do not tell what is available.
	if m.Free = bytes(info.MemAvailable); info.MemAvailable == nil {
		m.Free = bytes(info.MemFree) + bytes(info.Buffers) + bytes(info.Cached)
	}

	m.Free = min(m.Free, m.Total)
	m.SwapFree = min(m.SwapFree, m.SwapTotal)
	m.Used, m.SwapUsed = m.Total-m.Free, m.SwapTotal-m.SwapFree

	return m, nil
}

// swapped returns how many pages were swapped in and out.
func swapped() (in, out uint64, known bool) {
	b, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0, 0, false
	}

	found := 0
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")

		n, err := strconv.ParseUint(value, 10, 64)
		switch {
		case err != nil:
		case name == "pswpin":
			in, found = n, found+1
		case name == "pswpout":
			out, found = n, found+1
		}
	}

	return in, out, found == 2
}
