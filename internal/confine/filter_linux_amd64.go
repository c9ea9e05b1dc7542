package confine

import "golang.org/x/sys/unix"

const (
	architecture = unix.AUDIT_ARCH_X86_64
	// foreignFrom is where the numbers of the x32 calls begin.
	foreignFrom = 0x40000000
)

// deniedHere are calls that not every processor has.
var deniedHere = []uint32{
	unix.SYS_KEXEC_FILE_LOAD, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_USELIB,
	unix.SYS_MODIFY_LDT,
}
