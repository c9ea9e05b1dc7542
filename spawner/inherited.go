package spawner

import (
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/inherit"
)

// forEverybody are the variables of this program that processes of other users get: they
// say where programs are, in which language and time zone they speak, and how they
// allocate memory. All others may be a secret of the operator's, as AWS_SECRET_ACCESS_KEY
// is, or have other programs loaded, as LD_PRELOAD and NODE_OPTIONS do.
var forEverybody = []string{"PATH", "LANG", "LANGUAGE", "TZ", "TZDIR", "MALLOC_ARENA_MAX"}

// inherits reports whether a process gets a variable of this program. switched: it runs as
// another user.
func inherits(name string, switched bool) bool {
	if inherit.IsForUs(name) {
		return false
	}

	return !switched || slices.Contains(forEverybody, name) || strings.HasPrefix(name, "LC_")
}

// IsCollectorSecret reports whether a variable has headers for a collector of OpenTelemetry: those of
// all signals, or of traces, metrics or logs.
func IsCollectorSecret(name string) bool { return inherit.IsCollectorSecret(name) }

// IsOperators reports whether a variable belongs to the session of the operator who
// has started this program, as SSH_AUTH_SOCK does, so that another user must not have it.
func IsOperators(name string) bool {
	switch name {
	case "HOME", "USER", "LOGNAME", "SHELL":
		return true
	}

	return isForOperator(name)
}

// isForOperator reports whether the variable belongs to the session of whoever has
// started this process, and not to another one.
func isForOperator(name string) bool {
	switch name {
	case "MAIL", "OLDPWD", "XAUTHORITY", "GNUPGHOME", "KRB5CCNAME", "USERNAME":
		return true
	}

	for _, prefix := range []string{"SUDO_", "SSH_", "XDG_", "DBUS_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}

	return false
}
