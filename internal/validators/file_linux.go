package validators

import "syscall"

// changedAt is when the file, or what is known of it, was changed last, in nanoseconds. No tool can set it.
func changedAt(stat *syscall.Stat_t) int64 { return stat.Ctim.Nano() }
