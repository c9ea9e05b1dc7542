package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/gopassenger/passenger/spawner"
)

// NotADirectory is the error for a file that was named as the application's directory, as other servers take it.
func NotADirectory(path string) error {
	return fmt.Errorf("%s is not a directory: name the application's directory%s", path, startupFileHint(path))
}

// startupFileName is what startup_file may be, of each type: app.py, config.ru, shop.wsgi:application.
var startupFileName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[\w.-]+\.(?:ru|py|js|cjs|mjs|php)|[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?:\(\))?)$`)
})

// startupFileHint says how the last part of a path is given if it is the name of an application instead of its
// directory, as with other servers.
func startupFileHint(path string) string {
	dir, name := filepath.Split(path)
	if !startupFileName().MatchString(name) {
		return ""
	}

	return fmt.Sprintf(", as in: passenger start %s --startup-file '%s'", filepath.Clean(dir), name)
}

// checkStartCommand ends a circle at the second server, which reads the same configuration.
func (c *Config) checkStartCommand() error {
	if os.Getenv("IN_PASSENGER") == "" || !spawner.StartsServer(strings.Join(c.StartCommand, " ")) {
		return nil
	}

	return errors.New("start_command starts this server as its own application, again and again: give the command " +
		"that starts the application, or none if it is recognized without")
}
