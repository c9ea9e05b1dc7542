package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/inherit"
)

// commandTimeout limits a command that normally ends at once.
const commandTimeout = 15 * time.Second

func systemChecks() []check {
	return append([]check{
		{"System", "user switching", checkUserSwitching},
		{"System", "login shell", checkLoginShell},
		{"System", "limit of open files", checkFiles},
	}, kernelChecks()...)
}

// checkUserSwitching runs something as the user nobody.
func checkUserSwitching(ctx context.Context, _ *Host) Result {
	if os.Geteuid() != 0 {
		return skip("only root can: all applications run as you")
	}

	nobody, err := user.Lookup("nobody")
	if err != nil {
		return warn("make a user for applications", "there is no user nobody to try it with: %v", err)
	}

	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		return fail("", "the id of the user nobody is %q", nobody.Uid)
	}

	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		return fail("", "the id of the group of nobody is %q", nobody.Gid)
	}

	cmd := command(ctx, "/bin/sh", "-c", ":")
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if _, err := output(cmd); err != nil {
		return fail("give this container or service the capabilities CAP_SETUID and CAP_SETGID, or let all "+
			"applications run as one user",
			"a process could not be started as nobody: %v", err)
	}

	return ok("")
}

// checkLoginShell asks the shell for something that its profile could spoil.
func checkLoginShell(ctx context.Context, _ *Host) Result {
	shell, err := loginShell(os.Geteuid())
	if err != nil {
		return warn("leave load_shell_envvars off", "%v", err)
	}

	const marker = "passenger-check"
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := command(ctx, shell, "-l", "-c", "echo "+marker)

	out, err := output(cmd)
	switch lines := strings.Fields(out); {
	case err != nil:
		return warn("correct the profile of the shell, or leave load_shell_envvars off",
			"%s -l does not run a command: %v", shell, err)
	case len(lines) != 1 || lines[0] != marker:
		return warn("let the profile of the shell print nothing when it is not used by people",
			"%s -l prints more than the command does", shell)
	}

	return ok("%s", shell)
}

// loginShell looks into /etc/passwd, as the standard library does not.
func loginShell(uid int) (string, error) {
	b, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return "", err
	}

	for line := range strings.Lines(string(b)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) == 7 && fields[2] == strconv.Itoa(uid) {
			if fields[6] == "" {
				return "/bin/sh", nil
			}

			return fields[6], nil
		}
	}

	return "", fmt.Errorf("/etc/passwd has no user %d, so no shell", uid)
}

func checkFiles(context.Context, *Host) Result {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fail("", "the limit cannot be read: %v", err)
	}

	const enough = 4096

	// Go programs have the soft limit raised to the hard one.
	if limit.Max < enough {
		return warn("raise it with LimitNOFILE= of systemd, or in /etc/security/limits.conf",
			"%d: a connection of a client needs two", limit.Max)
	}

	return ok("%d", limit.Max)
}

// command returns a command in a process group of its own, which ends with ctx.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		// The shell of a command may have started others.
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			// This error tells package exec that there was nothing left to kill.
			return os.ErrProcessDone
		}

		return err
	}

	// What has left the group may still hold the output open.
	cmd.WaitDelay = time.Second
	cmd.Dir = "/"
	cmd.Env = inherit.Environ()

	return cmd
}

// output runs a command and returns what it prints.
func output(cmd *exec.Cmd) (string, error) {
	var out strings.Builder
	cmd.Stdout = &out

	inherit.CloseFiles()
	if err := inherit.Start(cmd); err != nil {
		return "", err
	}

	err := cmd.Wait()

	return out.String(), err
}
