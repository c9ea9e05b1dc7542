package agent

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/gopassenger/passenger/internal/confine"
)

// Privileges say what a core, and what it starts, may do beside what each user may. Each
// one has its reason in docs/privileges.md.
type Privileges struct {
	// NoNewPrivileges is true if programs with the setuid or setgid bit give applications
	// nothing. Where all applications have it, the core has it, too.
	NoNewPrivileges bool
	// KeptCapabilities are capabilities of a core of root's beside those that it uses; nil means
	// none, or rootsApps where applications run as root.
	KeptCapabilities []string
	// SyscallFilter is true if the core and what it starts have no system calls that manage
	// the system.
	SyscallFilter bool
}

// usedByCore are the capabilities that a core of root's uses for applications of other
// users.
var usedByCore = confine.SetOf(
	confine.SetUID, confine.SetGID, // become the user of an application
	confine.Kill,          // end its processes
	confine.Chown,         // give it the directory of its sockets, and take that back
	confine.DACReadSearch, // see its restart.txt and its public files, also in a closed home
	confine.SysResource,   // raise its limit on open files
	confine.SetPCap,       // take capabilities from it
)

// rootsApps is what applications and hooks that run as root may have: what containers
// give to root. They write to files of others, and become others by themselves.
var rootsApps = confine.SetOf(
	confine.DACOverride, confine.FOwner, confine.FSetID, confine.NetBindService, confine.NetRaw, confine.SysChroot,
	confine.MkNod, confine.AuditWrite, confine.SetFCap,
)

// kept is the set of capabilities beside those of usedByCore.
func (c *Config) kept() (confine.Capabilities, error) {
	set, err := confine.Parse(c.KeptCapabilities)
	if err != nil {
		return 0, fmt.Errorf("kept_capabilities: %w", err)
	}

	// Under Flying, applications run as users of their own.
	if c.KeptCapabilities == nil && c.Flying == nil {
		return rootsApps, nil
	}

	return set, nil
}

// allWithoutNewPrivileges reports whether no application may get new privileges. In
// Flying, applications cannot have more than the server says.
func (c *Config) allWithoutNewPrivileges() bool {
	if c.Flying != nil {
		return c.NoNewPrivileges
	}

	all := true
	c.each(func(one *Config) { all = all && one.NoNewPrivileges })

	return all
}

func (c *Config) checkSyscallFilter() error {
	switch {
	case !c.SyscallFilter:
	case !confine.FilterSupported():
		return fmt.Errorf("syscall_filter is not available on %s with %s: leave it off", runtime.GOOS, runtime.GOARCH)
	case (c.User != "" || os.Geteuid() != 0) && !c.allWithoutNewPrivileges():
		return errors.New("syscall_filter: Linux lets only root filter the system calls of setuid programs: set " +
			"no_new_privileges to on as well")
	}

	return nil
}

// coreLimits are what the core is left with, and so all that it starts.
func (c *Config) coreLimits() (*confine.Limits, error) {
	kept, err := c.kept()
	if err != nil {
		return nil, err
	}

	return &confine.Limits{
		Bound:           kept != confine.All,
		Capabilities:    usedByCore | kept,
		NoNewPrivileges: c.allWithoutNewPrivileges(),
		Filter:          c.SyscallFilter,
	}, nil
}

// routerLimits are those of the router of transactions, which needs no right but its
// user's.
func (c *Config) routerLimits() *confine.Limits {
	return &confine.Limits{Bound: true, NoNewPrivileges: true, Filter: c.SyscallFilter}
}

// errPrivileges means that an application has asked for more rights than the server has.
var errPrivileges = errors.New("no_new_privileges is off, and the server, of which the application is a child, " +
	"runs without new privileges: start it with no_new_privileges off, and set that to on for each application " +
	"that needs no setuid program")
