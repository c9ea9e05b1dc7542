package spawner

import (
	"os"

	"github.com/gopassenger/passenger/internal/confine"
)

// limits are what a process of this identity is left with, besides what its user may do:
// nothing that this program has or inherited.
func (id *identity) limits(noNewPrivileges bool) *confine.Limits {
	return &confine.Limits{
		NoNewPrivileges: noNewPrivileges,
		// What has no use any more goes. Root's own processes have their rights by it, and
		// without noNewPrivileges a setuid program may need it.
		Bound: noNewPrivileges && (id.switched || os.Geteuid() != 0),
	}
}
