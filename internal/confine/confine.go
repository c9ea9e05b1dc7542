// Package confine starts programs with fewer rights than this one has: with capabilities
// of a list at most, without new privileges by setuid programs, and behind a filter of
// system calls. What they start has no more.
//
// The rights of Linux belong to threads, so nothing of this program changes: a thread that
// does nothing else starts the other program, and has given up its own.
package confine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits are what a program is left with. The zero value takes from it only what it
// could have inherited beside the rights of its user: inheritable and ambient
// capabilities.
type Limits struct {
	// Bound is true if the program, and what it starts, may have no capabilities but
	// those of Capabilities. A thread that may not change its bounding set, as in a
	// container without CAP_SETPCAP, leaves it as it is.
	Bound        bool
	Capabilities Capabilities
	// NoNewPrivileges is true if executing a program with the setuid or setgid bit, or
	// with capabilities of its own, gives it nothing.
	NoNewPrivileges bool
	// Filter is true if system calls for managing the system fail with EPERM. It needs
	// NoNewPrivileges, or CAP_SYS_ADMIN.
	Filter bool
}

// Errors of a start. They say what the system refused.
var (
	ErrCapabilities    = errors.New("cannot take capabilities from the program")
	ErrNoNewPrivileges = errors.New("cannot keep the program from new privileges")
	ErrFilter          = errors.New("cannot filter the program's system calls, which takes CAP_SYS_ADMIN, or " +
		"no_new_privileges: set that to on")
)

// Capabilities is a set of Linux capabilities, a bit for each.
type Capabilities uint64

// All is each capability there is, or will be.
const All = ^Capabilities(0)

// Capability is the number of a capability.
type Capability uint8

// The capabilities that are named in this program, with the kernel's numbers.
const (
	Chown          Capability = 0
	DACOverride    Capability = 1
	DACReadSearch  Capability = 2
	FOwner         Capability = 3
	FSetID         Capability = 4
	Kill           Capability = 5
	SetGID         Capability = 6
	SetUID         Capability = 7
	SetPCap        Capability = 8
	NetBindService Capability = 10
	NetRaw         Capability = 13
	SysChroot      Capability = 18
	SysPtrace      Capability = 19
	SysResource    Capability = 24
	MkNod          Capability = 27
	AuditWrite     Capability = 29
	SetFCap        Capability = 31
)

// names are those of capabilities(7), by number.
var names = []string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
	"linux_immutable",
	"net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio",
	"sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time",
	"sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin",
	"syslog",
	"wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
}

// SetOf returns a set.
func SetOf(capabilities ...Capability) (set Capabilities) {
	for _, c := range capabilities {
		set |= 1 << c
	}

	return set
}

// Has reports whether c is in the set.
func (s Capabilities) Has(c Capability) bool { return s&(1<<c) != 0 }

// String has the names, as CAP_CHOWN, with commas between.
func (s Capabilities) String() string {
	switch s {
	case All:
		return "all"
	case 0:
		return "none"
	}

	var list []string
	for number, name := range names {
		if s.Has(Capability(number)) {
			list = append(list, "CAP_"+strings.ToUpper(name))
		}
	}

	return strings.Join(list, ", ")
}

// Parse returns the set that names say: CAP_NET_RAW and net_raw are the same, all stands
// for each there is and none for none, which are alone then.
func Parse(list []string) (set Capabilities, err error) {
	for _, text := range list {
		name := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(text)), "cap_")

		number := slices.Index(names, name)
		switch {
		case number >= 0:
			set |= 1 << number
		case name != "all" && name != "none":
			return 0, fmt.Errorf("%q is no capability: use names of capabilities(7) such as CAP_NET_RAW, or all, "+
				"or none", text)
		case len(list) > 1:
			return 0, fmt.Errorf("%q stands for a whole list: leave out either it or the rest", text)
		case name == "all":
			return All, nil
		}
	}

	return set, nil
}
