package passenger

import "time"

// That WebSockets and streams hold every slot is logged once in longHeldInterval. Each process must be looked at to
// find out, which therefore happens at most once in longLookInterval.
const (
	longHeldInterval = time.Minute
	longLookInterval = time.Second
)

// warnOfLongSessions warns when a get is about to wait because long sessions hold all slots, which nothing else tells
// from a slow application.
func (g *group) warnOfLongSessions(fx *effects) {
	now := g.pool.now()
	if g.enabled.len() == 0 || now < g.longHeldLook {
		return
	}

	slots := g.slotsOfLongSessions()
	if slots == 0 {
		g.longHeldLook = now + longLookInterval
		return
	}

	g.longHeldLook = now + longHeldInterval
	fx.warn(g.pool, "requests wait: WebSockets and streams hold every slot of the application; name their paths in "+
		"unlimited_concurrency_paths, or raise the concurrency or the number of processes",
		"app", g.name, "slots", slots, "processes", g.enabled.len())
}

// slotsOfLongSessions is the number of slots of the enabled processes if long sessions hold all of them, else zero.
func (g *group) slotsOfLongSessions() (slots int) {
	for pr := range g.enabled.all {
		if pr.concurrency == 0 || pr.longSessions < pr.concurrency {
			return 0
		}

		slots += pr.concurrency
	}

	return slots
}
