package smalldisk

import "syscall"

func mount(dir, options string) error { return syscall.Mount("none", dir, "tmpfs", 0, options) }
