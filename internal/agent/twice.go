package agent

import (
	"fmt"
	"os"
	"path/filepath"
)

// use is what becomes of a file that an option names.
type use uint8

const (
	// isRead means that others may read it, too.
	isRead use = iota
	// isLogged means that lines are added to it, also those of other logs.
	isLogged
	// isAlone means that it is written, or replaced, as a whole.
	isAlone
)

// checkTwice finds options that name the same file, which would damage it.
func (c *Config) checkTwice() (errs []error) {
	type named struct {
		key, path string
		use       use
	}

	files := []named{
		{"socket_file", c.SocketFile, isAlone},
		{"pid_file", c.PIDFile, isAlone},
		{"log_file", c.LogFile, isLogged},
		{"app_log_file", c.AppLogFile, isLogged},
		{"access_log", c.AccessLog, isLogged},
		{"transaction_log", c.TransactionLog, isLogged},
		{"ssl_certificate", c.SSLCertificate, isRead},
		{"ssl_certificate_key", c.SSLKey, isRead},
		{"dashboard_password_file", c.DashboardPasswordFile, isRead},
	}
	if c.Flying != nil {
		files = append(files, named{"password_file", c.Flying.PasswordFile, isRead})
	}

	for i := range c.Apps {
		files = append(files, named{"apps: app_log_file", c.Apps[i].Config.AppLogFile, isLogged})
	}

	for i, one := range files {
		for _, other := range files[:i] {
			// Two logs may share a file, and two readers.
			if max(one.use, other.use) == isAlone || one.use != other.use {
				if isSameFile(one.path, other.path) {
					errs = append(errs, fmt.Errorf("%s is %s, which %s is, too: give each of them a file of its own",
						one.key, one.path, other.key))
				}
			}
		}
	}

	return errs
}

// isSameFile reports whether two paths lead to one file; empty ones lead nowhere. Devices, such as /dev/null, are for
// many.
func isSameFile(a, b string) bool {
	if a == "" || b == "" {
		return false
	}

	ofA, errA := os.Stat(a)
	ofB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(ofA, ofB) && ofA.Mode()&os.ModeDevice == 0
	}

	// One that is to be made has only its name.
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)

	return errA == nil && errB == nil && absA == absB
}
