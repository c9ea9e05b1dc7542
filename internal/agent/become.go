package agent

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Become makes this process, if it is root's, one of the user of that name, for
// good: with their groups, and without root's rights. It is to be called before
// anything is opened.
func Become(name string) error {
	account, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("cannot run as the user %q: %w", name, err)
	}
	uid, uidErr := strconv.Atoi(account.Uid)
	gid, gidErr := strconv.Atoi(account.Gid)
	groups, err := groupsOf(account)
	if err := errors.Join(uidErr, gidErr, err); err != nil {
		return fmt.Errorf("cannot run as the user %q: %w", name, err)
	}
	if uid == os.Geteuid() {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("cannot run as the user %q: only root can become another user", name)
	}
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(groups) },
		func() error { return syscall.Setgid(gid) },
		func() error { return syscall.Setuid(uid) },
		func() error { return os.Setenv("HOME", account.HomeDir) },
		func() error { return os.Setenv("USER", account.Username) },
		func() error { return os.Setenv("LOGNAME", account.Username) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("cannot run as the user %q: %w", name, err)
		}
	}
	return nil
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
