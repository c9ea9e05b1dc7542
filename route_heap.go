package passenger

import "math"

// routeTable is a heap of the enabled processes, the best one first. An entry holds what is
// compared, and slots where each process is, so that moving an entry touches none of the processes
// it passes.
type routeTable struct {
	entries []routeEntry
	// slots are indexes of entries by process.routeID; free are the IDs that no process has.
	slots []int
	free  []uint32
	// stale means that the rank of the first entry is out of date. Gets and closes change that one
	// most, often up and down, so it moves only when the best process is asked for.
	stale bool
}

type routeEntry struct {
	// rank consists of, from the highest bit: full, the age in generations, and busyness.
	rank uint64
	seq  uint32 // process.seq, which breaks ties
	id   uint32
	pr   *process
}

const (
	fullBit        = 1 << 63
	generationBits = 31 // the shift; busyness fits below
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
	// The last entry fills the hole.
	if i != last {
		t.place(i, moved)
	}
}

// update moves pr to the place of its new rank.
func (t *routeTable) update(pr *process) {
	if t.slots[pr.routeID] == 0 {
		t.stale = true
		return
	}

	t.refresh()
	t.place(t.slots[pr.routeID], newRouteEntry(pr))
}

// place puts e into the hole i, or moves the hole up or down until e fits.
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

// arity is the number of children of a node: a wide heap is shallow, and siblings share cache
// lines.
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
