package spawner

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// account is an entry of the user database.
type account struct {
	name        string
	uid, gid    int
	home, shell string
}

// errNoEntry means that the user database has no such user or group.
var errNoEntry = errors.New("there is no such entry in the user database")

// accounts looks users and groups up. An unknown one is errNoEntry.
type accounts struct {
	user      func(name string) (*account, error)
	userByID  func(uid int) (*account, error)
	group     func(name string) (gid int, err error)
	groupByID func(gid int) (name string, err error)
	// groupsOf returns the groups that an account belongs to, its primary one
	// included.
	groupsOf func(*account) ([]int, error)
}

// systemAccounts is the user database of this host, as package os/user reads
// it: without cgo that is /etc/passwd and /etc/group.
var systemAccounts = accounts{
	user: func(name string) (*account, error) {
		u, err := user.Lookup(name)
		return newAccount(u, err)
	},
	userByID: func(uid int) (*account, error) {
		u, err := user.LookupId(strconv.Itoa(uid))
		return newAccount(u, err)
	},
	group: func(name string) (int, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return 0, lookUpError(err)
		}

		return strconv.Atoi(g.Gid)
	},
	groupByID: func(gid int) (string, error) {
		g, err := user.LookupGroupId(strconv.Itoa(gid))
		if err != nil {
			return "", lookUpError(err)
		}

		return g.Name, nil
	},
	groupsOf: func(a *account) ([]int, error) {
		u := user.User{Username: a.name, Uid: strconv.Itoa(a.uid), Gid: strconv.Itoa(a.gid)}
		ids, err := u.GroupIds()
		if err != nil {
			return nil, err
		}

		gids := make([]int, 0, len(ids))
		for _, id := range ids {
			gid, err := strconv.Atoi(id)
			if err != nil {
				return nil, err
			}

			// Several groups of /etc/group may have one number.
			if !slices.Contains(gids, gid) {
				gids = append(gids, gid)
			}
		}

		return gids, nil
	},
}

func newAccount(u *user.User, err error) (*account, error) {
	if err != nil {
		return nil, lookUpError(err)
	}

	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, err
	}

	return &account{
		name:  u.Username,
		uid:   uid,
		gid:   gid,
		home:  u.HomeDir,
		shell: loginShell(u.Username),
	}, nil
}

func lookUpError(err error) error {
	var (
		user1  user.UnknownUserError
		user2  user.UnknownUserIdError
		group1 user.UnknownGroupError
		group2 user.UnknownGroupIdError
	)
	if errors.As(err, &user1) || errors.As(err, &user2) || errors.As(err, &group1) || errors.As(err, &group2) {
		return fmt.Errorf("%w: %w", errNoEntry, err)
	}

	return err
}

// loginShell reads what package os/user leaves out; empty if it is not to be
// found.
func loginShell(name string) string {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return ""
	}

	defer func() { _ = f.Close() }()

	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		// passwd(5): the shell is the last of seven fields.
		if len(fields) == 7 && fields[0] == name {
			return fields[6]
		}
	}

	return ""
}
