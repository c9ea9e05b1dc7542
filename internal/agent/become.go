package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/spawner"
)

// Become makes this process, if it is root's, a process of c's User for good: with the
// user's groups, and without root's rights. The TCP ports, which it returns for Start, are
// opened before, since those below 1024 are root's to open. A socket file and all else
// must be made after, so that it is the user's. In the background, standard output and
// error become the log file.
func (c *Config) Become(ctx context.Context) (*Ports, error) {
	if c.User == "" {
		return nil, nil
	}

	account, err := lookUp(c.User)
	if err != nil {
		return nil, fmt.Errorf("cannot run as the user %q: %w", c.User, err)
	}

	// As by sudo -u: there is nothing to become, but the environment is another user's.
	if account.uid == os.Geteuid() {
		return nil, errors.Join(account.takeEnvironment(), c.useLogAsOutput())
	}

	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("cannot run as the user %q: only root can become another user: start it as root, or as "+
			"that user", c.User)
	}

	ports, err := c.openPorts(ctx)
	if err != nil {
		return nil, err
	}

	if err := account.become(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot run as the user %q: %w", c.User, err), closeAll(ports.sockets))
	}

	return ports, c.useLogAsOutput()
}

// useLogAsOutput is for a server in the background that is root's at first: the log
// file is not root's to make.
func (c *Config) useLogAsOutput() error {
	if !c.Daemonize || c.LogFile == "" {
		return nil
	}

	log, err := openLogFile(c.LogFile)
	if err != nil {
		return err
	}

	return errors.Join(duplicate(log, os.Stdout), duplicate(log, os.Stderr), log.Close())
}

// account is a user of the system.
type account struct {
	*user.User
	uid, gid int
	groups   []int
}

func lookUp(name string) (*account, error) {
	found, err := user.Lookup(name)
	if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
		return nil, fmt.Errorf("%w: name one that 'getent passwd' shows, or start the server as the user that it is "+
			"to be, without this option", err)
	}

	if err != nil {
		return nil, err
	}

	a := &account{User: found}
	var uidErr, gidErr error
	a.uid, uidErr = strconv.Atoi(found.Uid)
	a.gid, gidErr = strconv.Atoi(found.Gid)
	a.groups, err = groupsOf(found)

	return a, errors.Join(uidErr, gidErr, err)
}

func groupsOf(account *user.User) ([]int, error) {
	ids, err := account.GroupIds()
	if err != nil {
		return nil, err
	}

	groups := make([]int, len(ids))
	for i, id := range ids {
		if groups[i], err = strconv.Atoi(id); err != nil {
			return nil, err
		}
	}

	return groups, nil
}

func (a *account) become() error {
	// In this order: a process that has given up root's user ID may not change its groups.
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(a.groups) },
		func() error { return syscall.Setgid(a.gid) },
		func() error { return syscall.Setuid(a.uid) },
		a.takeEnvironment,
	} {
		if err := step(); err != nil {
			return err
		}
	}

	return nil
}

// AsUser runs f, which reads files, with the rights of c's User if this process is root's and will become that user.
// They are those of the whole process meanwhile: it is for the time before anything is started.
func (c *Config) AsUser(f func() error) (err error) {
	if c.User == "" || os.Geteuid() != 0 {
		return f()
	}

	account, err := lookUp(c.User)
	if err != nil {
		return fmt.Errorf("cannot run as the user %q: %w", c.User, err)
	}

	groups, err := syscall.Getgroups()
	if err != nil {
		return err
	}

	gid := os.Getegid()
	defer func() {
		err = errors.Join(err, syscall.Seteuid(0), syscall.Setegid(gid), syscall.Setgroups(groups))
	}()

	for _, step := range []func() error{
		func() error { return syscall.Setgroups(account.groups) },
		func() error { return syscall.Setegid(account.gid) },
		func() error { return syscall.Seteuid(account.uid) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("cannot take the rights of the user %q: %w", c.User, err)
		}
	}

	return f()
}

// takeEnvironment leaves nothing in the environment of the session that the server was
// started from, as by sudo: neither the server's programs nor the applications are
// part of it.
func (a *account) takeEnvironment() error {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); spawner.IsOperators(name) {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}

	for name, value := range map[string]string{"HOME": a.HomeDir, "USER": a.Username, "LOGNAME": a.Username} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}

	return nil
}
