package procstat

import "time"

// Root is a process that is sampled together with all that it has started.
type Root struct {
	PID int
	// Mark is the value of the variable Sampler.Marker in the environment of the root and its
	// descendants; empty means that they do not have it.
	Mark string
}

// SampleTrees is Sample for processes together with their descendants. In the result for a root,
// the sizes and CPUTime are sums, CPU is that of all, and Processes is their number; the other
// fields are the root's own. A root below another root does not count there.
//
// A descendant that has left its parents counts if it is in the session or process group of the
// root, or was started with the root's mark in its environment. CPUTime includes descendants that
// have ended, so it never decreases.
//
// If the private memory of a descendant cannot be read, the sum has its resident memory instead.
//
// One pass over all processes of the system serves any number of roots; none is needed while no
// process was started since the last pass.
func (s *Sampler) SampleTrees(roots []Root) (map[int]Process, error) {
	pids := make([]int, len(roots))
	for i, root := range roots {
		pids[i] = root.PID
	}

	r, err := newReader(s.Root)
	if err != nil {
		return unknown(pids), err
	}

	members := map[int][]int{}
	if len(roots) > 0 {
		if members, err = s.forest.members(r, s.Marker, roots); err != nil {
			return unknown(pids), err
		}
	}

	processes := make(map[int]Process, len(roots))
	last := s.trees

	s.trees = make(map[int]treeUsage, len(roots))
	for _, pid := range pids {
		if _, twice := processes[pid]; twice {
			continue
		}

		at := s.now()
		p, exists := r.read(pid)
		if !exists {
			continue
		}

		use := treeUsage{at: at, members: map[int]cpuTimes{}}
		use.start, _ = p.StartTicks.Get()
		use.add(pid, &p)

		p.Processes = 1
		for _, member := range members[pid] {
			// It may have ended since the pass over all processes.
			if m, exists := r.readUse(member); exists {
				p.add(&m)
				use.add(member, &m)
			}
		}

		if p.CPUTime.Known() {
			use = use.after(last[pid])
			p.CPUTime, p.CPU = Known(use.total), use.percent
			s.trees[pid] = use
		}

		p.childrenTime = 0
		processes[pid] = p
	}

	return processes, nil
}

// add adds the use of m.
func (p *Process) add(m *Process) {
	p.Processes++
	if m.PrivateDirty.Known() && !p.PrivateDirty.Known() && p.RSS.Known() {
		p.PrivateDirty = p.RSS
	} else if p.PrivateDirty.Known() && !m.PrivateDirty.Known() {
		m.PrivateDirty = m.RSS
	}

	p.VMSize = sum(p.VMSize, m.VMSize)
	p.RSS = sum(p.RSS, m.RSS)
	p.PSS = sum(p.PSS, m.PSS)
	p.PrivateDirty = sum(p.PrivateDirty, m.PrivateDirty)
	p.Swap = sum(p.Swap, m.Swap)
}

// sum adds the known ones of a and b.
func sum(a, b Value[int64]) Value[int64] {
	if !a.known && !b.known {
		return a
	}

	return Known(a.v + b.v)
}

// cpuTimes are the CPU times of a process and of its children that it has waited for.
type cpuTimes struct {
	start         uint64
	own, children time.Duration
}

// treeUsage is the CPU time that a process and its descendants had used at a time.
type treeUsage struct {
	start   uint64
	at      time.Time
	members map[int]cpuTimes
	total   time.Duration
	// ended is the use of members that have ended, as far as the times of their parents do not
	// include it yet.
	ended   time.Duration
	percent Value[float64]
}

func (u *treeUsage) add(pid int, p *Process) {
	own, known := p.CPUTime.Get()
	if !known {
		return
	}

	start, _ := p.StartTicks.Get()
	u.members[pid] = cpuTimes{start: start, own: own, children: p.childrenTime}
	u.total += own + p.childrenTime
}

// after returns u with its total and percentage, or before if that is too recent.
func (u treeUsage) after(before treeUsage) treeUsage {
	if before.at.IsZero() || before.start != u.start {
		return u
	}

	elapsed := u.at.Sub(before.at)
	if elapsed < minInterval {
		return before
	}

	var used, children time.Duration
	for pid, now := range u.members {
		then := before.members[pid]
		if then.start != now.start {
			then = cpuTimes{}
		}

		used += max(now.own-then.own, 0)
		children += max(now.children-then.children, 0)
	}

	// The use of ended children is in their parents' times, and was counted while they lived.
	// Not all of them had a parent that waited for them.
	gone := time.Duration(0)
	for pid, then := range before.members {
		if u.members[pid].start != then.start {
			gone += then.own + then.children
		}
	}

	counted := before.ended + gone
	used += max(children-counted, 0)
	u.ended = min(max(counted-children, 0), gone)

	u.total = before.total + used
	u.percent = Known(100 * float64(used) / float64(elapsed))

	return u
}
