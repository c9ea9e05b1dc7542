package spawner

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"syscall"
)

// identity is whom a process runs as.
type identity struct {
	uid int
	// credential is nil when the process stays who we are.
	credential *syscall.Credential
}

var errOtherUser = errors.New("processes run as the user of the server, and not as anybody else")

// identify returns whom app runs as. An application that asks for somebody
// else is refused rather than run with more rights than it was meant to have.
func identify(app *App) (identity, error) {
	id := identity{uid: os.Geteuid()}
	if app.User == "" && app.Group == "" {
		return id, nil
	}
	self, err := user.Current()
	if err != nil {
		return id, fmt.Errorf("cannot look up who we are: %w", err)
	}
	if app.User != "" && app.User != self.Username && app.User != self.Uid {
		return id, fmt.Errorf("cannot run as user %q: %w", app.User, errOtherUser)
	}
	if app.Group != "" && app.Group != self.Gid {
		group, err := user.LookupGroupId(self.Gid)
		if err != nil || group.Name != app.Group {
			return id, fmt.Errorf("cannot run as group %q: %w", app.Group, errOtherUser)
		}
	}
	return id, nil
}
