package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/trustedpath"
)

// loadChecked is load with the checks for a server.
func (l *loader) loadChecked(args []string) (agent.Config, error) {
	cfg, err := l.load(args)
	if err == nil {
		cfg, err = l.loadAsUser(cfg, args)
	}

	if err == nil {
		err = l.checkRoot(&cfg)
	}

	return cfg, err
}

// loadAsUser returns what load does if the application's files are read with the rights of the user that root becomes.
// Who can put a link in the place of one could have root read what is another user's, such as variables with secrets.
// As this user the server reads them at a reload, too.
func (l *loader) loadAsUser(cfg agent.Config, args []string) (agent.Config, error) {
	if os.Geteuid() != 0 || staysRoot(cfg.User) {
		return cfg, nil
	}

	var again agent.Config

	err := cfg.AsUser(func() (err error) {
		again, err = quiet(*l).load(args) // the warnings were given
		return err
	})
	switch {
	case errors.Is(err, fs.ErrPermission):
		return cfg, fmt.Errorf("the user %s, which the server becomes, must be able to read the configuration: %w",
			cfg.User, err)
	case err != nil:
		return cfg, err
	case again.User != cfg.User:
		return cfg, fmt.Errorf("the configuration has changed while it was read: user was %s and is %s now: start "+
			"again", cfg.User, again.User)
	}

	return again, nil
}

// checkRoot is for a server that stays root's: it refuses hooks that another user could
// choose, and warns of applications that another user could change.
func (l *loader) checkRoot(cfg *agent.Config) error {
	if os.Geteuid() != 0 || !staysRoot(cfg.User) {
		return nil
	}

	if err := l.checkHooks(cfg); err != nil {
		return err
	}

	if l.warnedOfRoot || cfg.Flying != nil {
		return nil
	}

	// A reload would say it again.
	l.warnedOfRoot = true

	dirs := []string{cfg.Dir}
	// With several applications, the directory of the configuration is none of them.
	if cfg.Apps != nil {
		dirs = nil
	}

	for _, app := range cfg.Apps {
		dirs = append(dirs, app.Config.Dir)
	}

	for _, dir := range dirs {
		if who, advice := changedBy(dir); who != "" {
			l.warn(fmt.Sprintf("the server runs as root, and %s can change the application in %s, and so run any "+
				"program as root: %s", who, dir, advice))
		}
	}

	return nil
}

// staysRoot reports whether a server that root has started with --user name is root's.
func staysRoot(name string) bool {
	if name == "" {
		return true
	}

	account, err := user.Lookup(name)

	return err == nil && account.Uid == "0"
}

// checkHooks makes sure that only root can choose the programs that are run as root for
// events, and can change those that are named by their paths.
func (l *loader) checkHooks(cfg *agent.Config) error {
	for _, file := range slices.Sorted(maps.Keys(l.hookFiles)) {
		if err := trustedpath.CheckFile(file, 0); err != nil {
			return fmt.Errorf("cannot run the hooks (ctls) in %s as root: %w: start the server with --user, "+
				"or make file and directory root's (chown root, chmod go-w)", file, err)
		}
	}

	for _, key := range slices.Sorted(maps.Keys(cfg.Ctls)) {
		for program := range strings.SplitSeq(cfg.Ctls[key], ";") {
			program = strings.TrimSpace(program)
			if _, err := os.Stat(program); !filepath.IsAbs(program) || err != nil {
				// It is looked for in PATH when it is run.
				continue
			}

			if err := trustedpath.CheckFile(program, 0); err != nil {
				return fmt.Errorf("cannot run the hook %s as root: %w: start the server with --user, "+
					"or make program and directory root's (chown root, chmod go-w)", key, err)
			}
		}
	}

	return nil
}

// changedBy returns who beside root can change what is in a directory, and what to do
// about that; empty means no one but root.
func changedBy(dir string) (who, advice string) {
	info, err := os.Stat(dir)
	if err != nil {
		// Validate reports it.
		return "", ""
	}

	switch owner := trustedpath.Owner(info); {
	case owner != 0:
		id := strconv.Itoa(owner)
		if account, err := user.LookupId(id); err == nil {
			return "the user " + account.Username, "start it with --user " + account.Username
		}

		// Only users with a name can be an option.
		return "the user " + id, "start it as that user, or make its files root's"
	case info.Mode().Perm()&0o002 != 0:
		return "everybody", "start it with --user NAME"
	}

	return "", ""
}
