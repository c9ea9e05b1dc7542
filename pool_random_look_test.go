package passenger_test

import (
	"slices"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// look compares a pool in which nothing moves with what must hold, and returns the
// faults there were up to now.
func (m *model) look(s passenger.Snapshot, live []*spawnertest.Process) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.judgeStops()
	if s.CapacityUsed > max(m.sizeSince, m.used) {
		m.fault("the pool has %d processes, and may have %d", s.CapacityUsed, m.sizeSince)
	}

	m.sizeSince, m.used = s.MaxPoolSize, s.CapacityUsed
	if pids := unwanted(&s, live); len(pids) > 0 {
		m.fault("processes %v live and belong to no group", pids)
	}

	groups := map[string]*passenger.GroupSnapshot{}
	for i := range s.Groups {
		g := &s.Groups[i]
		m.judgeProcesses(g)

		switch {
		case !g.Detached:
			groups[g.Name] = g
		case g.QueueLength > 0 || g.Spawning > 0 || g.CapacityUsed > 0 || g.Restarting:
			m.fault("%s was detached, and is not: %+v", g.Name, g)
		}
	}

	for name, app := range m.apps {
		m.judgeApp(name, app, groups[name])
	}

	m.before = s

	return m.faults
}

// judgeStops: a process is asked to stop when it has no session, unless for a reason.
func (m *model) judgeStops() {
	for _, s := range m.stops {
		if s.open > 0 && !s.exited && !m.killing && len(m.reasons[s.pid]) == 0 {
			m.fault("process %d is stopped with %d sessions, for no reason", s.pid, s.open)
		}
	}

	m.stops = nil
}

// judgeProcesses: each has the sessions that are handed out; its out-of-band work is
// one more.
func (m *model) judgeProcesses(g *passenger.GroupSnapshot) {
	for _, pr := range g.Processes {
		if open := m.open[pr.PID]; pr.Sessions != open && (pr.Sessions != open+1 || !m.oobw[pr.PID]) {
			m.fault("%s: process %d, %s, has %d sessions, and %d are open", g.Name, pr.PID, pr.State, pr.Sessions, open)
		}
	}
}

func (m *model) judgeApp(name string, app *appModel, g *passenger.GroupSnapshot) {
	spawned := app.spawned
	app.spawned = nil
	if g == nil {
		if app.waiting > 0 {
			m.fault("%s: %d gets wait, and the application is not there", name, app.waiting)
		}

		app.used, app.limitSince = 0, 0

		return
	}

	if g.QueueLength != app.waiting {
		m.fault("%s: %d gets wait, and %d are in the queue", name, app.waiting, g.QueueLength)
	}

	if g.CapacityUsed > max(app.limitSince, app.used) {
		m.fault("%s has %d processes, and may have %d", name, g.CapacityUsed, app.limitSince)
	}

	app.used, app.limitSince = g.CapacityUsed, g.MaxProcesses
	if g.MaxProcesses <= 0 {
		app.limitSince = plenty
	}

	if m.resistsSince(g) && slices.Contains(spawned, g.Generation) {
		m.fault("%s: the broken release is started while an old process is there", name)
	}
}

// resistsSince reports whether a group has had one old process since the last look, and
// resisted the same release then.
func (m *model) resistsSince(g *passenger.GroupSnapshot) bool {
	for i := range m.before.Groups {
		b := &m.before.Groups[i]
		if b.APIKey != g.APIKey || b.Generation != g.Generation || b.DeploymentError == nil ||
			g.DeploymentError == nil {
			continue
		}

		for _, pid := range oldProcesses(b) {
			if slices.Contains(oldProcesses(g), pid) {
				return true
			}
		}
	}

	return false
}

func oldProcesses(g *passenger.GroupSnapshot) (pids []int) {
	for _, pr := range g.Processes {
		if pr.State != passenger.ProcessDetached && pr.Generation < g.Generation {
			pids = append(pids, pr.PID)
		}
	}

	return pids
}
