package spawner

import (
	"path/filepath"
	"slices"
	"strconv"
)

// shell is where POSIX has its shell in practice.
const shell = "/bin/sh"

// keptPrefix is what variables have in front while a login shell may change
// those that have their names.
const keptPrefix = "_PASSENGER_KEPT_"

// preparer is what sets up a process where executing the program directly does
// not suffice. Its arguments are the umask and the limit on open files, both may
// be empty, the directory, the number of variables to restore, their names,
// which can do no harm to eval, and the program's command. The empty line
// separates what shells may have printed from the program's.
const preparer = `
_passenger_umask=$1 _passenger_limit=$2 _passenger_dir=$3 _passenger_n=$4
shift 4
while [ "$_passenger_n" -gt 0 ]; do
	eval "export $1=\"\$` + keptPrefix + `$1\"; unset ` + keptPrefix + `$1"
	shift
	_passenger_n=$((_passenger_n - 1))
done
if [ -n "$_passenger_limit" ] && ! ulimit -n "$_passenger_limit"; then
	echo "The limit on open files cannot be set to $_passenger_limit; it stays $(ulimit -n)." >&2
fi
if [ -n "$_passenger_umask" ]; then umask "$_passenger_umask"; fi
cd "$_passenger_dir" || exit 126
unset _passenger_umask _passenger_limit _passenger_dir _passenger_n OLDPWD
echo
exec "$@"
`

// loginShells are the shells that get along with what is asked of them.
var loginShells = []string{"bash", "zsh", "ksh"}

// loginShell is the shell to start app by; empty means none.
func (a *attempt) loginShell() string {
	sh := a.identity.shell
	if a.app.LoadShellEnv && slices.Contains(loginShells, filepath.Base(sh)) && filepath.IsAbs(sh) {
		return sh
	}

	return ""
}

// needsShell reports whether the process is set up by the preparer.
func (a *attempt) needsShell() bool {
	return a.loginShell() != "" || a.app.Umask != "" || a.app.FileLimit != 0
}

// prepared returns what to execute so that argv is executed in the end, and
// puts what a login shell must not change into a safe place of env.
func (a *attempt) prepared(argv []string, env *environment) []string {
	if !a.needsShell() {
		return argv
	}

	limit := ""
	if a.app.FileLimit != 0 {
		limit = strconv.FormatUint(a.app.FileLimit, 10)
	}

	var front, names []string
	if login := a.loginShell(); login != "" {
		front = []string{login, "-lc", `exec "$@"`, "passenger-login-shell"}

		names = slices.DeleteFunc(slices.Clone(env.ours), func(name string) bool { return !isShellName(name) })
		for _, name := range names {
			env.vars[keptPrefix+name] = env.vars[name]
		}
	}

	return slices.Concat(front,
		[]string{shell, "-c", preparer, "passenger-preparer", a.app.Umask, limit, a.app.Root, strconv.Itoa(len(names))},
		names, argv)
}
