//go:build !linux

package confine

// Start calls start: the rights that are limited here are Linux's.
func (*Limits) Start(start func() error) error { return start() }

// FilterSupported reports whether system calls can be filtered on this system.
func FilterSupported() bool { return false }
