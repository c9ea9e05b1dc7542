package spawner

import (
	"net/netip"

	"github.com/gopassenger/passenger/internal/sockdiag"
)

// listens reports whether the attempt's process, or one that it has started, listens on
// the port at an address; known is false if that cannot be found out.
func (a *attempt) listens(addr netip.Addr) (ours, known bool) {
	listeners, err := sockdiag.Listeners(a.port)
	if err != nil {
		return false, false
	}

	owner := a.owner()

	theirs, inodes := false, map[uint64]bool{}
	for _, l := range listeners {
		switch {
		case !l.Takes(addr):
		case owner.accepts(l.UID):
			inodes[l.Inode] = true
		default:
			theirs = true
		}
	}

	if len(inodes) == 0 {
		return false, theirs
	}

	// What a process has open can be read by its user.
	holds := false
	err = a.identity.withRights(func() error {
		holds = a.holdsSocket(inodes)
		return nil
	})

	return holds, err == nil
}
