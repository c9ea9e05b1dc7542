package instancedir

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// ErrNoneRunning is why none can be chosen.
var ErrNoneRunning = errors.New("no instance is running, or its registry is not among those looked at: name it with " +
	RegistryVariable)

// NotFoundError is why an instance cannot be chosen: none is the one asked for.
type NotFoundError struct {
	// Name is the name or its beginning that was asked for, or PID the process.
	Name string
	PID  int
}

func (e *NotFoundError) Error() string {
	if e.PID != 0 {
		return fmt.Sprintf("no instance is running whose watchdog, core or web server is the process %d", e.PID)
	}

	return fmt.Sprintf("no instance is running whose name is %q or starts so", e.Name)
}

// AmbiguousError is why an instance cannot be chosen: several could be meant.
type AmbiguousError struct {
	// Name is what was asked for, or PID; neither if one was to be the only one.
	Name      string
	PID       int
	Instances []Instance
}

func (e *AmbiguousError) Error() string {
	names := make([]string, len(e.Instances))
	for i := range e.Instances {
		names[i] = e.Instances[i].Name
	}

	list := strings.Join(names, ", ")
	switch {
	case e.PID != 0:
		return fmt.Sprintf("several instances say that they are the process %d: choose one of %s by its name", e.PID,
			list)
	case e.Name != "":
		return fmt.Sprintf("several instances have names that start with %q: choose one of %s", e.Name, list)
	default:
		return "several instances are running: choose one of " + list
	}
}

// Select returns the instance that has a name, or the only one whose name starts
// so; if name is empty, the only one. The error is ErrNoneRunning, if nothing was
// asked for, *NotFoundError or *AmbiguousError.
//
// An instance of root or of ourselves cannot be hidden by another user's of the
// same name.
func (l *Listing) Select(name string) (*Instance, error) {
	if name == "" {
		if len(l.Instances) == 0 {
			return nil, ErrNoneRunning
		}

		return only(l.Instances, &AmbiguousError{})
	}

	found := prefer(l.matching(func(i *Instance) bool { return i.Name == name }))
	if len(found) == 0 {
		found = l.matching(func(i *Instance) bool { return strings.HasPrefix(i.Name, name) })
	}

	if len(found) == 0 {
		return nil, &NotFoundError{Name: name}
	}

	return only(found, &AmbiguousError{Name: name})
}

// SelectPID returns the instance whose watchdog, core or web server is the process
// pid, by what they say. The error is *NotFoundError or *AmbiguousError.
func (l *Listing) SelectPID(pid int) (*Instance, error) {
	found := prefer(l.matching(func(i *Instance) bool {
		return pid > 0 && slices.Contains([]int{i.Properties.WatchdogPID, i.Properties.CorePID, i.webServerPID}, pid)
	}))
	if len(found) == 0 {
		return nil, &NotFoundError{PID: pid}
	}

	return only(found, &AmbiguousError{PID: pid})
}

func (l *Listing) matching(match func(*Instance) bool) []Instance {
	var found []Instance
	for i := range l.Instances {
		if match(&l.Instances[i]) {
			found = append(found, l.Instances[i])
		}
	}

	return found
}

// prefer leaves out what others claim to be, if there is one of root or ours.
func prefer(instances []Instance) []Instance {
	foreign := func(i Instance) bool { return i.UID != 0 && i.UID != os.Geteuid() }
	if trusted := slices.DeleteFunc(slices.Clone(instances), foreign); len(trusted) > 0 {
		return trusted
	}

	return instances
}

func only(found []Instance, otherwise *AmbiguousError) (*Instance, error) {
	if len(found) == 1 {
		return &found[0], nil
	}

	otherwise.Instances = found

	return nil, otherwise
}
