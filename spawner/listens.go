package spawner

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

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
		a.eachSocket(func(inode uint64) bool {
			holds = inodes[inode]
			return !holds
		})

		return nil
	})

	return holds, err == nil
}

// maxElsewhere is how many addresses a message names.
const maxElsewhere = 3

// elsewhere names the TCP addresses of other ports on which the attempt's process, or one that it has started, listens;
// empty if that cannot be found out.
func (a *attempt) elsewhere() string {
	listeners, err := sockdiag.AllListeners()
	if err != nil {
		return ""
	}

	addresses := map[string]bool{}
	_ = a.identity.withRights(func() error { // without them, nothing is found
		a.eachSocket(func(inode uint64) bool {
			for _, l := range listeners {
				if l.Inode == inode && l.Port != a.port {
					addresses[net.JoinHostPort(l.Addr.String(), strconv.Itoa(l.Port))] = true
				}
			}

			return true
		})

		return nil
	})

	all := slices.Sorted(maps.Keys(addresses))

	return strings.Join(all[:min(len(all), maxElsewhere)], " and ")
}
