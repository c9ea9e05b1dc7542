package spawner

import (
	"fmt"
	"slices"
)

// Account is a user of a test.
type Account struct {
	Name        string
	UID, GID    int
	Home, Shell string
	Groups      []int
}

// UseAccounts gives a factory a user database of its own. Groups have names by
// their ids.
func UseAccounts(f Factory, users []Account, groups map[int]string) {
	real, ok := f.(*factory)
	if !ok {
		panic("not a factory of this package")
	}

	find := func(match func(*Account) bool) (*account, error) {
		i := slices.IndexFunc(users, func(a Account) bool { return match(&a) })
		if i < 0 {
			return nil, errNoEntry
		}

		u := users[i]

		return &account{
			name:  u.Name,
			uid:   u.UID,
			gid:   u.GID,
			home:  u.Home,
			shell: u.Shell,
		}, nil
	}
	real.identifier.accounts = accounts{
		user:     func(name string) (*account, error) { return find(func(a *Account) bool { return a.Name == name }) },
		userByID: func(uid int) (*account, error) { return find(func(a *Account) bool { return a.UID == uid }) },
		group: func(name string) (int, error) {
			for gid, n := range groups {
				if n == name {
					return gid, nil
				}
			}

			return 0, fmt.Errorf("group %q: %w", name, errNoEntry)
		},
		groupByID: func(gid int) (string, error) {
			if name, ok := groups[gid]; ok {
				return name, nil
			}

			return "", errNoEntry
		},
		groupsOf: func(a *account) ([]int, error) {
			i := slices.IndexFunc(users, func(u Account) bool { return u.Name == a.name })
			return append([]int{a.gid}, users[i].Groups...), nil
		},
	}
}

// PreparerShell is what processes are set up by where that takes a shell.
const PreparerShell = shell
