package passenger

import "math"

// routeTable is a heap of the enabled processes, the best one first. Its
// entries hold what is compared, and slots where each process is, so that
// moving one does not touch the processes it passes.
type routeTable struct {
	entries []routeEntry
	// slots are indices into entries by process.routeID; free are the ids
	// that nobody has.
	slots []int
	free  []uint32
	// stale: the rank of the first entry is out of date. It is the one that
	// gets and closes change most, often there and back, so that it is put in
	// its place when somebody asks who is first.
	stale bool
}

type routeEntry struct {
	// rank is, from the highest bit: full, the age in generations, busyness.
	rank uint64
	seq  uint32 // of the attaching, which breaks ties
	id   uint32
	pr   *process
}

const (
	fullBit        = 1 << 63
	generationBits = 31 // shift: busyness fits below
)

func routeRank(pr *process) uint64 {
	rank := uint64(math.MaxUint32-pr.generation)<<generationBits | pr.busyness()
	if pr.full() {
		rank |= fullBit
	}

	return rank
}

func newRouteEntry(pr *process) routeEntry {
	return routeEntry{
		rank: routeRank(pr),
		seq:  pr.seq,
		id:   pr.routeID,
		pr:   pr,
	}
}

func (t *routeTable) best() *process {
	if len(t.entries) == 0 {
		return nil
	}

	t.refresh()

	return t.entries[0].pr
}

func (t *routeTable) refresh() {
	if t.stale {
		t.stale = false
		t.down(0, newRouteEntry(t.entries[0].pr))
	}
}

func (t *routeTable) add(pr *process) {
	t.refresh()
	if last := len(t.free) - 1; last >= 0 {
		pr.routeID = t.free[last]
		t.free = t.free[:last]
	} else {
		pr.routeID = uint32(len(t.slots)) //nolint:gosec // G115: far fewer processes
		t.slots = append(t.slots, 0)
	}

	t.entries = append(t.entries, routeEntry{})
	t.up(len(t.entries)-1, newRouteEntry(pr))
}

func (t *routeTable) remove(pr *process) {
	t.refresh()
	i, last := t.slots[pr.routeID], len(t.entries)-1
	t.free = append(t.free, pr.routeID)
	moved := t.entries[last]
	t.entries[last] = routeEntry{}
	t.entries = t.entries[:last]
	if i != last {
		t.place(i, moved)
	}
}

// update moves pr to where its rank belongs now.
func (t *routeTable) update(pr *process) {
	if t.slots[pr.routeID] == 0 {
		t.stale = true
		return
	}

	t.refresh()
	t.place(t.slots[pr.routeID], newRouteEntry(pr))
}

// place puts e into the hole i or where it belongs from there.
func (t *routeTable) place(i int, e routeEntry) {
	if i > 0 && e.before(&t.entries[(i-1)/arity]) {
		t.up(i, e)
		return
	}

	t.down(i, e)
}

func (e *routeEntry) before(f *routeEntry) bool {
	return e.rank < f.rank || e.rank == f.rank && e.seq < f.seq
}

// arity children a node: a wide heap is shallow, and siblings lie together.
const arity = 4

func (t *routeTable) up(i int, e routeEntry) {
	for i > 0 {
		parent := (i - 1) / arity
		if !e.before(&t.entries[parent]) {
			break
		}

		t.set(i, t.entries[parent])
		i = parent
	}

	t.set(i, e)
}

func (t *routeTable) down(i int, e routeEntry) {
	for {
		first := i*arity + 1
		if first >= len(t.entries) {
			break
		}

		least := first
		for c := first + 1; c < min(first+arity, len(t.entries)); c++ {
			if t.entries[c].before(&t.entries[least]) {
				least = c
			}
		}

		if !t.entries[least].before(&e) {
			break
		}

		t.set(i, t.entries[least])
		i = least
	}

	t.set(i, e)
}

func (t *routeTable) set(i int, e routeEntry) {
	t.entries[i] = e
	t.slots[e.id] = i
}
