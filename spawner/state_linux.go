package spawner

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// checkState completes and checks the state of a process that was started,
// before it is sent anything.
func (a *attempt) checkState() error {
	pid := a.child.pid
	if a.app.FileLimit != 0 {
		// The preparer can lower the limit; only root can raise it.
		limit := &unix.Rlimit{Cur: a.app.FileLimit, Max: a.app.FileLimit}
		_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, limit, nil) // the preparer says so if neither can
	}

	a.resetOOMScore()

	// Of a process that has ended there is nothing to read, and what it was
	// does not matter any more; its limits were ours.
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		limits, err = os.ReadFile("/proc/self/limits")
	}

	if err == nil {
		a.limits = string(limits)
	}

	if !a.identity.switched {
		return nil
	}

	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil //nolint:nilerr // see above
	}

	return a.identity.check(string(status))
}

// resetOOMScore undoes what protects this program from the system's choice of
// which process is killed when memory runs out: that is not for applications.
func (a *attempt) resetOOMScore() {
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil || bytes.Equal(bytes.TrimSpace(own), []byte("0")) {
		return
	}

	name := fmt.Sprintf("/proc/%d/oom_score_adj", a.child.pid)

	// The file is its user's, and may be root's if the program cannot be read.
	err = asFileUser(a.identity.uid, func() error { return os.WriteFile(name, []byte("0"), 0) })
	if errors.Is(err, fs.ErrPermission) {
		err = os.WriteFile(name, []byte("0"), 0)
	}

	if err != nil && a.child.lives() {
		a.config.Logger.Error(err, "the application keeps the server's OOM score", "app", a.app.Name(), "pid",
			a.child.pid)
	}
}

var errState = errors.New("the process did not become who it should be")

// check compares who a process is with who it should be.
func (id *identity) check(status string) error {
	want := map[string][]int{
		"Uid": {id.uid, id.uid, id.uid}, "Gid": {id.gid, id.gid, id.gid},
		"Groups": slices.Sorted(slices.Values(id.groups)),
	}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		ids, ok := want[name]
		if !ok {
			continue
		}

		var got []int
		for field := range strings.FieldsSeq(value) {
			n, err := strconv.Atoi(field)
			if err != nil {
				return fmt.Errorf("%w: %q", errState, line)
			}

			got = append(got, n)
		}

		// The lines Uid and Gid have a fourth number, that of the file system, which follows the effective one.
		if name == "Groups" {
			slices.Sort(got)
		} else if len(got) > len(ids) {
			got = got[:len(ids)]
		}

		if !slices.Equal(got, ids) {
			return &fault{
				problem: wrongIdentity,
				subject: strings.TrimSpace(line),
				err:     fmt.Errorf("%w: %s %v instead of %v", errState, name, got, ids),
			}
		}
	}

	return nil
}
