package procstat

import "time"

// Root is a process that is sampled with all that it has started.
type Root struct {
	PID int
	// Mark is what the variable Sampler.Marker has in the environment of the
	// root and of its descendants; empty means that none of them is known by it.
	Mark string
}

// SampleTrees is Sample for processes together with their descendants. Of what
// is returned for a root, the sizes and CPUTime are sums and CPU is of all of
// them; Processes counts them; everything else is the root's own. A root below
// another one is no part of the upper one.
//
// A descendant that has left its parents counts as long as it is in the root's
// session or process group, or has the root's mark in the environment that it
// was started with. CPUTime includes that of descendants that have ended, so it
// never decreases.
//
// Where the private memory of a descendant cannot be read, its resident memory
// stands in the sum in its place.
//
// All processes of the system are looked at in one pass, whatever the number of
// roots, and in none while no process was started since the last pass.
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

// add adds what m uses.
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

// sum is that of what is known.
func sum(a, b Value[int64]) Value[int64] {
	if !a.known && !b.known {
		return a
	}

	return Known(a.v + b.v)
}

// cpuTimes are the CPU time of a process, and that of its children that have
// ended and that it has waited for.
type cpuTimes struct {
	start         uint64
	own, children time.Duration
}

// treeUsage is how much CPU time a process and its descendants had used at a
// time.
type treeUsage struct {
	start   uint64
	at      time.Time
	members map[int]cpuTimes
	total   time.Duration
	// ended is what members had used that are gone, and that has not come up in
	// their parents' times yet.
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

// after returns u with its total and percent, or what it was, when that is too
// recent.
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

	// What ended children had used shows in their parents' times, and was counted
	// while they lived. Some had no parent that waited for them.
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
