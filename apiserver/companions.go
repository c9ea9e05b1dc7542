package apiserver

import (
	"bytes"
	"slices"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/metrics"
	"github.com/gopassenger/passenger/status"
)

// companions are those that the caller may see. s has the applications that it may see.
func (c *call) companions(s *passenger.Snapshot) []status.Companion {
	if c.cfg.Companions == nil {
		return nil
	}

	all := c.cfg.Companions()
	if c.rights.read {
		return all
	}

	return slices.DeleteFunc(all, func(one status.Companion) bool {
		return !slices.ContainsFunc(s.Groups, func(g passenger.GroupSnapshot) bool { return g.Name == one.App })
	})
}

// writeCompanions adds the section of companions to the text of a snapshot.
func (c *call) writeCompanions(b *bytes.Buffer, s *passenger.Snapshot, o status.TextOptions) {
	companions := c.companions(s)
	if len(companions) > 0 && len(s.Groups) == 0 {
		b.WriteString("\n") // which a group has behind it
	}

	_ = status.WriteCompanions(b, companions, s.At, o) // a buffer takes everything
}

// companionStates are those of status.Companion.
var companionStates = []string{"starting", "running", "backing off", "stopping", "ended"}

func writeCompanionMetrics(e encoder, companions []status.Companion) {
	type key struct{ app, name string }
	byState := map[key]map[string]int{}
	var names []key
	restarts := map[key]uint64{}

	for _, c := range companions {
		k := key{metrics.LabelOf(c.App), metrics.LabelOf(c.Name)}
		if byState[k] == nil {
			byState[k] = map[string]int{}
			names = append(names, k)
		}

		byState[k][c.State]++
		restarts[k] = c.RestartsOfName
	}

	const count = "passenger_companions"
	e.family(count, metrics.Gauge, "Companions by their state.")

	for _, k := range names {
		for _, state := range companionStates {
			e.sample(float64(byState[k][state]), "app", k.app, "name", k.name, "state", state)
		}
	}

	const total = "passenger_companion_restarts_total"
	e.family(total, metrics.Counter, "Companions that were started again after their end, since the server started.")

	for _, k := range names {
		e.sample(float64(restarts[k]), "app", k.app, "name", k.name)
	}
}
