package confine

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// denied are system calls that manage a system, look into other processes, or are known
// for their share of the kernel's faults, and that neither the server nor a web
// application needs. Each has its reason in docs/privileges.md.
var denied = []uint32{
	// File systems and their parts.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN,
	unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_QUOTACTL,
	unix.SYS_QUOTACTL_FD,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_CHROOT,
	// The kernel itself.
	unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_REBOOT, unix.SYS_SYSLOG, unix.SYS_ACCT, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_FANOTIFY_INIT,
	unix.SYS_NFSSERVCTL, unix.SYS_LOOKUP_DCOOKIE,
	// What is the system's: its clock, name and keys.
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	// Other processes, and namespaces.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	unix.SYS_PROCESS_MADVISE, unix.SYS_SETNS, unix.SYS_UNSHARE,
}

// newNamespaces are the flags of clone for namespaces: CLONE_NEWNS, NEWCGROUP, NEWUTS,
// NEWIPC, NEWUSER, NEWPID and NEWNET.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// The places of struct seccomp_data.
const (
	numberAt       = 0
	architectureAt = 4
	firstArgument  = 16 // its lower half: these systems are little-endian
)

// The instructions that the program is made of.
const (
	load       = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	ifEqual    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	ifAtLeast  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	ifAnyBit   = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	returnWith = unix.BPF_RET | unix.BPF_K
)

const (
	allow    = 0x7fff0000 // SECCOMP_RET_ALLOW
	failWith = 0x00050000 // SECCOMP_RET_ERRNO, with the number below
)

var errArchitecture = errors.New("there is no filter for this processor, " + runtime.GOARCH)

// FilterSupported reports whether system calls can be filtered on this system.
func FilterSupported() bool { return architecture != 0 }

// program returns the filter in the language of the kernel.
func program() []unix.SockFilter {
	deny := unix.SockFilter{Code: returnWith, K: failWith | uint32(unix.EPERM)}
	missing := unix.SockFilter{Code: returnWith, K: failWith | uint32(unix.ENOSYS)}
	pass := unix.SockFilter{Code: returnWith, K: allow}

	p := []unix.SockFilter{
		// Numbers of another architecture, as of 32-bit programs, would mean other calls.
		{Code: load, K: architectureAt},
		{Code: ifEqual, K: architecture, Jt: 1},
		deny,
		{Code: load, K: numberAt},
	}
	if foreignFrom != 0 {
		p = append(p, unix.SockFilter{Code: ifAtLeast, K: foreignFrom, Jf: 1}, missing)
	}

	// The flags of clone3 cannot be seen from here. Who finds it missing uses clone.
	p = append(p, unix.SockFilter{Code: ifEqual, K: unix.SYS_CLONE3, Jf: 1}, missing)
	for _, number := range slices.Concat(denied, deniedHere) {
		p = append(p, unix.SockFilter{Code: ifEqual, K: number, Jf: 1}, deny)
	}

	return append(p,
		unix.SockFilter{Code: ifEqual, K: unix.SYS_CLONE, Jt: 1},
		pass,
		unix.SockFilter{Code: load, K: firstArgument},
		unix.SockFilter{Code: ifAnyBit, K: newNamespaces, Jf: 1},
		deny,
		pass,
	)
}

// filter filters the system calls of the calling thread and of what it starts.
func filter() error {
	if !FilterSupported() {
		return errArchitecture
	}

	code := program()
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]} //nolint:gosec // G115: about a hundred

	//nolint:gosec // G103: the call's own form
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER,
		uintptr(unsafe.Pointer(&prog)),
		0,
		0)
	runtime.KeepAlive(code)

	return os.NewSyscallError("prctl", err)
}
