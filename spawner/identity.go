package spawner

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// UserPolicy decides the user that processes run as when this program runs as root. When
// it does not, they run as its user.
type UserPolicy uint8

// The policies.
const (
	// UserOfApp: as App.User, or else as the owner of the startup file, which only that
	// user or root may have put where it is (see docs/flying.md); with
	// a start command and no startup file, of the application's directory. Never
	// as root, nor as a user that the system does not know: as
	// Config.DefaultUser then.
	UserOfApp UserPolicy = iota
	// DefaultUserOnly: all as Config.DefaultUser.
	DefaultUserOnly
	// SameUser: as the user of this program, even if that is root.
	SameUser
)

// DefaultUser is the default of Config.DefaultUser.
const DefaultUser = "nobody"

// GroupOfStartupFile as App.Group means the group of the startup file.
const GroupOfStartupFile = "!STARTUP_FILE!"

// identity is the user that a process runs as, with its groups.
type identity struct {
	account
	// gid is the process's group, which need not be the account's.
	gid int
	// groups are the supplementary ones; without switched they are not known.
	groups []int
	// switched reports whether the process runs as another user than this program.
	switched bool
	// byStartupFile reports whether the owner of the startup file decided it.
	byStartupFile bool
	// doubt is what the operator is warned of; nil means nothing.
	doubt error
}

// credential is nil when the process stays who we are.
func (id *identity) credential() *syscall.Credential {
	if !id.switched {
		return nil
	}

	c := &syscall.Credential{Uid: uint32(id.uid), Gid: uint32(id.gid)} //nolint:gosec // G115: from the system
	for _, g := range id.groups {
		c.Groups = append(c.Groups, uint32(g)) //nolint:gosec // G115: from the system
	}

	return c
}

func (id *identity) String() string {
	name := id.name
	if name == "" {
		name = "unknown name"
	}

	s := fmt.Sprintf("%s (uid %d), gid %d", name, id.uid, id.gid)
	if id.switched {
		s += fmt.Sprintf(", groups %v", id.groups)
	}

	return s
}

// identifier decides the user that processes run as.
type identifier struct {
	policy                    UserPolicy
	defaultUser, defaultGroup string
	euid, egid                int
	accounts                  accounts
}

func newIdentifier(c *Config) *identifier {
	return &identifier{
		policy:       c.Users,
		defaultUser:  c.DefaultUser,
		defaultGroup: c.DefaultGroup,
		euid:         os.Geteuid(),
		egid:         os.Getegid(),
		accounts:     systemAccounts,
	}
}

// switches reports whether processes may run as another user than this program.
func (i *identifier) switches() bool { return i.euid == 0 && i.policy != SameUser }

// stranger returns the user that may see only what everybody may: the default user, or this program's if it does not
// switch.
func (i *identifier) stranger() (*identity, error) {
	if !i.switches() {
		return &identity{}, nil
	}

	user, err := i.accounts.user(i.defaultUser)
	if err != nil {
		return nil, i.unknown("the default user", i.defaultUser, unknownUser, err)
	}

	return &identity{account: *user, switched: true, gid: user.gid}, nil
}

var errOtherUser = errors.New("processes run as the user of the server, and not as anybody else")

// identify returns the user that app runs as. reference is the file whose owner counts.
// Its errors are faults.
func (i *identifier) identify(app *App, reference string) (*identity, error) {
	if !i.switches() {
		return i.self(app)
	}

	defaultUser, err := i.accounts.user(i.defaultUser)
	if err != nil {
		return nil, i.unknown("the default user", i.defaultUser, unknownUser, err)
	}

	defaultGID, err := i.defaultGID(defaultUser)
	if err != nil {
		return nil, err
	}

	var info fs.FileInfo
	if i.policy == UserOfApp && (app.User == "" || app.Group == GroupOfStartupFile) {
		// What a link says belongs to whoever made the link.
		if info, err = os.Lstat(reference); err != nil {
			return nil, startupFault(reference, err)
		}
	}

	user, err := i.user(app, info)
	if err != nil {
		return nil, err
	}

	// The loader makes sure that the file still has this owner. A start command has a directory, and no loader.
	id := &identity{switched: true, byStartupFile: user != nil && app.User == "" && info.Mode().IsRegular()}
	if user == nil || user.uid == 0 {
		user, id.byStartupFile = defaultUser, false
	} else if app.User == "" {
		if id.doubt, err = checkPlace(app.Root, reference, info, i.privateGroup(user)); err != nil {
			return nil, err
		}
	}

	if user == defaultUser && app.User != "" && i.policy == UserOfApp {
		id.doubt = fmt.Errorf("the application is to run as the user %q, which is root or does not exist on this "+
			"host: it runs as the default user %q",
			app.User, i.defaultUser)
	}

	id.account = *user
	if id.gid, err = i.gid(app, info, user); err != nil {
		return nil, err
	}

	// As with user 0, no file and no account puts an application into root's group.
	if id.gid <= 0 {
		id.gid = defaultGID
	}

	id.groups, err = i.supplementary(user, id.gid)

	return id, err
}

// self is the user of this program. An application that asks for another one is refused
// rather than run with more rights than it was meant to have.
func (i *identifier) self(app *App) (*identity, error) {
	id := &identity{account: account{uid: i.euid, gid: i.egid}, gid: i.egid}
	// In a container, the user need not be in the database.
	if self, err := i.accounts.userByID(i.euid); err == nil {
		id.account = *self
	}

	if app.User != "" && app.User != id.name && app.User != strconv.Itoa(id.uid) {
		return nil, &fault{problem: otherUser, err: fmt.Errorf("cannot run as user %q: %w", app.User, errOtherUser)}
	}

	if app.Group != "" && app.Group != GroupOfStartupFile && app.Group != strconv.Itoa(id.gid) {
		if name, err := i.accounts.groupByID(id.gid); err != nil || name != app.Group {
			return nil, &fault{
				problem: otherUser,
				err:     fmt.Errorf("cannot run as group %q: %w", app.Group, errOtherUser),
			}
		}
	}

	return id, nil
}

func (i *identifier) defaultGID(defaultUser *account) (int, error) {
	if i.defaultGroup == "" {
		return defaultUser.gid, nil
	}

	return i.namedGroup("the default group", i.defaultGroup)
}

// user is nil when the default user is to be taken.
func (i *identifier) user(app *App, info fs.FileInfo) (*account, error) {
	if i.policy == DefaultUserOnly {
		return nil, nil
	}

	if app.User != "" {
		// POSIX has chown do the same: digits are a name first, and else a number.
		user, err := i.accounts.user(app.User)
		if uid, notNumber := strconv.Atoi(app.User); err != nil && notNumber == nil {
			user, err = i.accounts.userByID(uid)
		}

		if errors.Is(err, errNoEntry) {
			return nil, nil
		}

		if err != nil {
			return nil, i.unknown("the user", app.User, unknownUser, err)
		}

		return user, nil
	}

	user, err := i.accounts.userByID(int(statOf(info).Uid))
	if errors.Is(err, errNoEntry) {
		return nil, nil
	}

	if err != nil {
		return nil, &fault{problem: userDatabase, err: err}
	}

	return user, nil
}

// privateGroup is the group that has the user's name, as many systems make one for each
// user; -1: there is none.
func (i *identifier) privateGroup(user *account) int {
	if name, err := i.accounts.groupByID(user.gid); err != nil || name != user.name {
		return -1
	}

	return user.gid
}

// gid is 0 when the default group is to be taken.
func (i *identifier) gid(app *App, info fs.FileInfo, user *account) (int, error) {
	switch {
	case i.policy == DefaultUserOnly:
		return 0, nil
	case app.Group == GroupOfStartupFile:
		gid := int(statOf(info).Gid)
		if _, err := i.accounts.groupByID(gid); errors.Is(err, errNoEntry) {
			return 0, nil
		} else if err != nil {
			return 0, &fault{problem: userDatabase, err: err}
		}

		return gid, nil
	case app.Group != "":
		return i.namedGroup("the group", app.Group)
	}

	return user.gid, nil
}

// namedGroup takes a number for a name that is unknown.
func (i *identifier) namedGroup(what, name string) (int, error) {
	gid, err := i.accounts.group(name)
	if n, notNumber := strconv.Atoi(name); err != nil && notNumber == nil && n > 0 {
		return n, nil
	}

	if err != nil {
		return 0, i.unknown(what, name, unknownGroup, err)
	}

	return gid, nil
}

func (*identifier) unknown(what, name string, p problem, err error) error {
	if !errors.Is(err, errNoEntry) {
		p = userDatabase
	}

	return &fault{problem: p, subject: fmt.Sprintf("%s %q", what, name), err: err}
}

// supplementary are the groups of user beside gid. A primary group that was
// replaced by another one is left behind.
func (i *identifier) supplementary(user *account, gid int) ([]int, error) {
	groups, err := i.accounts.groupsOf(user)
	if err != nil {
		return nil, &fault{problem: userDatabase, err: err}
	}

	groups = slices.DeleteFunc(slices.Clone(groups), func(g int) bool { return g == user.gid && g != gid })
	if !slices.Contains(groups, gid) {
		groups = append([]int{gid}, groups...)
	}

	return groups, nil
}

// statOf returns what the system says of a file. If it says nothing, the file belongs to no
// user and no group: this is the ID that chown takes for "unchanged".
func statOf(info fs.FileInfo) *syscall.Stat_t {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat
	}

	return &syscall.Stat_t{Uid: math.MaxUint32, Gid: math.MaxUint32}
}
