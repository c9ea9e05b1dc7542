// Package sysmem says how much memory this program may have, together with the others of its container.
package sysmem

import (
	"math"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// fallback is assumed where the system does not say.
const fallback = 4 << 30

// Total returns the bytes of memory that the machine has, or fewer if the control group of this program has a limit (of
// either version of cgroups): that of a container, or MemoryMax of systemd. It is read once.
var Total = sync.OnceValue(func() int64 {
	total := uint64(fallback)
	if machine, err := memlimit.FromSystem(); err == nil && machine > 0 {
		total = min(machine, math.MaxInt64)
	}

	// An error means that there is no limit.
	if limit, err := memlimit.FromCgroup(); err == nil && limit > 0 {
		total = min(total, limit)
	}

	return int64(total)
})
