package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
)

// selection says which instance is meant.
type selection struct {
	name string
	// byPID means that the name is the ID of one of its processes.
	byPID bool
	// ignoreNone accepts that no instance runs.
	ignoreNone bool
	// byFlag means that the instance is named by --instance only, and messages are
	// those of passenger-config.
	byFlag bool
}

// addFlags adds those of the commands of passenger-config.
func (s *selection) addFlags(cmd *cobra.Command) {
	s.byFlag = true
	cmd.Flags().StringVar(&s.name, "instance", "",
		"the `name` of the instance, or its beginning; needed if several run")
	_ = cmd.RegisterFlagCompletionFunc("instance", completeInstances) // the flag is there
}

func (s *selection) addIgnoreFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.ignoreNone, "ignore-passenger-not-running", false,
		"exit successfully if no instance is running")
}

// listInstances lists them, and removes what others left behind.
func listInstances(cmd *cobra.Command) *instancedir.Listing {
	l := instancedir.List(instancedir.Registries(os.Getenv))
	l.Clean(cmd.ErrOrStderr())
	return l
}

// find returns the instance. Where ignoreNone makes it nil, so is the error.
func (s *selection) find(cmd *cobra.Command) (*instancedir.Instance, error) {
	listing := listInstances(cmd)
	instance, err := s.choose(listing)
	if err == nil {
		return instance, nil
	}

	if errors.Is(err, instancedir.ErrNoneRunning) {
		if s.ignoreNone {
			fmt.Fprintf(cmd.ErrOrStderr(), "*** WARNING: %s\n", notRunning(listing))
			return nil, nil //nolint:nilnil // see above
		}

		stars := ""
		if s.byFlag {
			stars = "*** "
		}

		return nil, exit(1, "%sERROR: %s", stars, notRunning(listing))
	}

	if missing, ok := errors.AsType[*instancedir.NotFoundError](err); ok {
		if missing.PID != 0 {
			return nil, exit(1, "ERROR: there doesn't seem to be a %s instance running with the PID %d.", admin.Product,
				missing.PID)
		}

		return nil, exit(1, "ERROR: there doesn't seem to be a %s instance running with the name '%s'.", admin.Product,
			admin.Printable(missing.Name))
	}

	if several, ok := errors.AsType[*instancedir.AmbiguousError](err); ok {
		s.printSeveral(cmd, several)
		return nil, errSaid
	}

	return nil, err
}

func (s *selection) printSeveral(cmd *cobra.Command, several *instancedir.AmbiguousError) {
	what := fmt.Sprintf("It appears that multiple %s instances are running.", admin.Product)
	if several.Name != "" {
		what = fmt.Sprintf("There are multiple instances whose name start with '%s'.", several.Name)
	}

	how := "Please\nselect a specific one by running:\n\n  " + cmd.CommandPath() + " <NAME>"
	if s.byFlag {
		how = "Please select\na specific one by passing:\n\n  --instance <NAME>"
	}

	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s %s\n\nThe following %s instances are running:\n\n", what, how, admin.Product)
	printInstances(w, several.Instances)
}

// isGiven reports whether an instance was asked for.
func (s *selection) isGiven() bool { return s.name != "" || s.byPID }

// findAll returns the instance that find would, or of several, where none was asked
// for, the one that serves the current directory, or all of them.
func (s *selection) findAll(cmd *cobra.Command) ([]instancedir.Instance, error) {
	if !s.isGiven() {
		all := listInstances(cmd).Instances
		if here := servingAt(all, "."); len(here) == 1 {
			return here, nil
		}

		if len(all) > 1 {
			return all, nil
		}
	}

	instance, err := s.find(cmd)
	if instance == nil {
		return nil, err
	}

	return []instancedir.Instance{*instance}, nil
}

// findServing returns the instance that find would, or where none was asked for, the one that serves the directory.
func (s *selection) findServing(cmd *cobra.Command, dir string) (*instancedir.Instance, error) {
	if !s.isGiven() {
		if serving := servingAt(listInstances(cmd).Instances, dir); len(serving) == 1 {
			return &serving[0], nil
		}
	}

	return s.find(cmd)
}

// servingAt returns the instances for one of whose applications dir is the directory,
// by any of its names, or is below it. What others than root, this user or
// the owner of the directory say of themselves does not count.
func servingAt(all []instancedir.Instance, dir string) (here []instancedir.Instance) {
	path, err := admin.NewAppPath(dir)
	if err != nil {
		return nil
	}

	owner := os.Geteuid()
	if info, err := os.Stat(dir); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = int(stat.Uid)
		}
	}

	for i := range all {
		trusted := slices.Contains([]int{0, os.Geteuid(), owner}, all[i].UID)
		if trusted && slices.ContainsFunc(all[i].Properties.AppRoots, path.IsIn) {
			here = append(here, all[i])
		}
	}

	return here
}

func (s *selection) choose(l *instancedir.Listing) (*instancedir.Instance, error) {
	if !s.byPID {
		return l.Select(s.name)
	}

	pid, err := strconv.Atoi(s.name)
	if err != nil || pid <= 0 {
		return nil, exit(1, "ERROR: '%s' is not the PID of a process.", admin.Printable(s.name))
	}

	return l.SelectPID(pid)
}

func notRunning(l *instancedir.Listing) string {
	var b strings.Builder
	b.WriteString(admin.Product + " doesn't seem to be running. If you are sure that it is running, then the causes " +
		"of this problem could be:\n\n" +
		"1. It keeps its instances in a registry of its own (--instance-registry-dir). Then set the environment " +
		"variable " + instancedir.RegistryVariable + " to that directory and run this command again.\n" +
		"2. Something that cleans temporary directories has removed the instance's. Then choose a registry where " +
		"nothing is cleaned, and restart " + admin.Product + ".")

	for _, line := range notLookedAt(l) {
		b.WriteString("\n" + line)
	}

	return b.String()
}

// notLookedAt returns a line for each of the first directories that may be those of instances and cannot be used.
func notLookedAt(l *instancedir.Listing) (lines []string) {
	const maxSkipped = 5
	for i, skipped := range l.Skipped {
		if i == maxSkipped {
			return append(lines, fmt.Sprintf("(and %d more)", len(l.Skipped)-maxSkipped))
		}

		lines = append(lines, fmt.Sprintf("Not looked at: %s: %s", admin.Printable(skipped.Path),
			admin.Printable(skipped.Err.Error())))
	}

	return lines
}

// printInstances prints the table of instances.
func printInstances(w io.Writer, instances []instancedir.Instance) {
	fmt.Fprintf(w, "%-25s  %-7s  %s\n", "Name", "PID", "Description")
	fmt.Fprintln(w, "--------------------------------------------------------------------------")

	for i := range instances {
		p := &instances[i].Properties
		fmt.Fprintf(w, "%-25s  %-7d  %s\n", p.Name, p.WatchdogPID, p.ServerSoftware)
		if serves := servedBy(p); serves != "" {
			fmt.Fprintf(w, "%-25s  %-7s  %s\n", "", "", serves)
		}
	}

	if len(instances) == 0 {
		fmt.Fprintf(w, "%-25s  %-7s  %s\n", "(list empty)", "-", "-")
	}
}

// servedBy is which directories an instance serves and where, as far as it tells.
func servedBy(p *instancedir.Properties) string {
	roots := admin.Printable(strings.Join(p.AppRoots, ", "))
	addresses := admin.Printable(strings.Join(p.Addresses, ", "))

	switch {
	case addresses == "":
		return roots
	case roots == "":
		// Flying learns its applications from requests.
		return "applications on " + addresses
	}

	return roots + " on " + addresses
}

// client returns a client of the instance's core, or another agent.
func client(i *instancedir.Instance, socket, account string) (*apiserver.Client, error) {
	c, err := admin.Client(i, socket, account)
	if err != nil {
		return nil, ended(i, err)
	}

	return c, nil
}

// ended turns a failed call of an instance into a message for the user: most
// often it has ended.
func ended(i *instancedir.Instance, err error) error {
	said := admin.Printable(err.Error())

	errno, isErrno := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		owner := fmt.Sprintf("the user with the ID %d", i.UID)
		if found, err := user.LookupId(strconv.Itoa(i.UID)); err == nil {
			owner = "the user " + admin.Printable(found.Username)
		}

		return exit(1, "*** ERROR: the instance %s cannot be asked: you have no permission. It belongs to %s, who "+
			"may, as may root: "+
			"run this command with 'sudo', or as that user.\n    (%s)", i.Name, owner, said)
	case isErrno && !slices.Contains(goneErrors, errno):
		// Only some errors of a connection mean that there is no server.
		return exit(1, "*** ERROR: the instance %s cannot be asked: %s. It may run nevertheless: '%s' shows those "+
			"that run.",
			i.Name, said, "passenger list-instances")
	}

	return exit(1, "*** ERROR: the instance %s does not respond: it has ended, or is about to. '%s' shows those that "+
		"run.\n    (%s)",
		i.Name, "passenger list-instances", said)
}

// goneErrors are those of a connection to a server that has ended, or ends.
var goneErrors = []syscall.Errno{
	syscall.ENOENT, syscall.ENOTDIR, syscall.ECONNREFUSED, syscall.ECONNRESET,
	syscall.EPIPE,
}

// explain turns an error of the API into a message for the user.
func explain(i *instancedir.Instance, err error) error {
	if err == nil {
		return nil
	}

	if _, ok := errors.AsType[*exitError](err); ok {
		return err
	}

	if _, ok := errors.AsType[*apiserver.UnauthorizedError](err); ok {
		return exit(1, "*** ERROR: You are not authorized to perform this particular administration command on this "+
			"%s instance. Please try again with 'sudo'.", admin.Product)
	}

	if e, ok := errors.AsType[*apiserver.StatusError](err); ok {
		return exit(1, "*** An error occurred while communicating with the %s server:\n%d %s: %s", admin.Product,
			e.Status, http.StatusText(e.Status), said(e))
	}

	if e, ok := errors.AsType[*apiserver.UntrustedServerError](err); ok {
		return exit(1, "*** ERROR: %v", e)
	}

	if errors.Is(err, context.DeadlineExceeded) {
		return exit(1, "*** ERROR: the instance %s has not responded for %v: it may be overloaded, or have been "+
			"stopped. Try again, or look into its log.", i.Name, callTimeout)
	}

	return ended(i, err)
}

// said is what the server said of an error.
func said(e *apiserver.StatusError) string {
	text := e.Message
	if text == "" {
		text = string(e.Body)
	}

	if e.Code != "" {
		text += " (" + e.Code + ")"
	}

	return admin.PrintableText(text)
}
