package confine

import "golang.org/x/sys/unix"

const (
	architecture = unix.AUDIT_ARCH_AARCH64
	foreignFrom  = 0
)

// deniedHere are calls that not every processor has.
var deniedHere = []uint32{unix.SYS_KEXEC_FILE_LOAD}
