package admin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hiddenFromOthers are the values of hidepid with which processes of others are
// not shown.
var hiddenFromOthers = map[string]bool{
	"1": true, "2": true, "4": true, "noaccess": true, "invisible": true,
	"ptraceable": true,
}

func kernelChecks() []check {
	return []check{
		{"System", "limit of processes", checkProcesses},
		{"System", "memory overcommitment", checkOvercommit},
		{"System", "protection from the OOM killer", checkOOM},
		{"System", "processes in /proc", checkProc},
		{"Kernel", "pidfd_open", checkPidfd},
		{"Kernel", "openat2", checkOpenat2},
		{"Kernel", "files without a name for large bodies", checkTmpfile},
		{"Kernel", "child subreapers", checkSubreaper},
	}
}

func checkProcesses(context.Context, *Host) Result {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		return fail("", "the limit cannot be read: %v", err)
	}

	const enough = 512
	switch {
	case limit.Cur == unix.RLIM_INFINITY:
		return ok("no limit")
	case limit.Cur < enough:
		return warn("raise it with TasksMax= and LimitNPROC= of systemd, or in /etc/security/limits.conf",
			"%d, threads included", limit.Cur)
	}

	return ok("%d", limit.Cur)
}

func checkOvercommit(context.Context, *Host) Result {
	if mode := sysctl("/proc/sys/vm/overcommit_memory"); mode == "2" {
		return warn("set vm.overcommit_memory to 0, or see that there is as much swap as memory",
			"vm.overcommit_memory is 2: a preloader that is forked needs its memory twice")
	}

	return ok("")
}

// checkOOM lowers the score for a moment.
func checkOOM(context.Context, *Host) Result {
	const path = "/proc/self/oom_score_adj"
	now, err := strconv.Atoi(sysctl(path))
	if err != nil {
		return skip("%s cannot be read", path)
	}

	const least = -1000
	set := func(score int) error { return os.WriteFile(path, []byte(strconv.Itoa(score)), 0) }
	if err := set(max(now-1, least)); err != nil {
		if os.Geteuid() != 0 {
			return skip("only root can lower the score, which is %d", now)
		}

		return warn("give this container or service the capability CAP_SYS_RESOURCE",
			"the score, which is %d, cannot be lowered: %v", now, err)
	}

	if err := set(now); err != nil {
		return warn("", "the score was lowered, and cannot be raised again: %v", err)
	}

	return ok("the score is %d", now)
}

func sysctl(path string) string {
	b, err := os.ReadFile(path) //nolint:gosec // G304: in /proc
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(b))
}

func checkProc(context.Context, *Host) Result {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return fail("mount /proc", "/proc cannot be read: %v", err)
	}

	if value := hidepid(string(b)); hiddenFromOthers[value] && os.Geteuid() != 0 {
		return warn("mount it with the option gid= and a group that you are in, or run the tools as root",
			"/proc is mounted with hidepid=%s: memory and CPU of others' processes are not shown", value)
	}

	return ok("")
}

// hidepid finds the option in what is mounted.
func hidepid(mounts string) (value string) {
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[1] != "/proc" || fields[2] != "proc" {
			continue
		}

		// A later mount covers the one before it.
		value = ""
		for option := range strings.SplitSeq(fields[3], ",") {
			if v, found := strings.CutPrefix(option, "hidepid="); found {
				value = v
			}
		}
	}

	return value
}

const kernelAdvice = "use a newer kernel, or let the container's seccomp profile allow it"

func checkPidfd(context.Context, *Host) Result {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return warn(kernelAdvice, "%v: the ends of processes are noticed later", err)
	}

	// It was only tried.
	_ = unix.Close(fd)

	return ok("")
}

func checkOpenat2(context.Context, *Host) Result {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return warn(kernelAdvice, "%v: files are opened in several steps", err)
	}

	// It was only tried.
	_ = unix.Close(fd)

	return ok("")
}

func checkTmpfile(_ context.Context, h *Host) Result {
	fd, err := unix.Open(h.Buffers, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		// It was only tried.
		_ = unix.Close(fd)
		return ok("%s", h.Buffers)
	}

	// By open(2), the first error is that of a file system without it, and the second that of a kernel.
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return warn("choose another file system with --data-buffer-dir, or leave it",
			"the file system of %s does not have it: bodies have names for a moment", h.Buffers)
	}

	return fail("choose another directory with --data-buffer-dir", "%s: %v", filepath.Clean(h.Buffers), err)
}

func checkSubreaper(context.Context, *Host) Result {
	var set int32
	//nolint:gosec // G103: the kernel writes there
	if err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER,
		uintptr(unsafe.Pointer(&set)),
		0,
		0,
		0); err != nil {
		return warn(kernelAdvice, "%v: what processes leave behind goes to init", err)
	}

	return ok("")
}
