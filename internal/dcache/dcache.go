// Package dcache asks the kernel's cache of directory entries, where that needs no disk.
//
// A system call that may wait for a disk has to tell Go's scheduler, which then watches for the end of it: after each
// such call of a program that is idle in between, a thread wakes 50 times or more, 20 µs apart. For a server whose
// requests look for a file that is mostly not there, that costs more than the look.
package dcache

import "sync/atomic"

// pause is for how many calls the kernel is not asked after one for which it knew nothing: file systems that keep no
// such entries (tmpfs, NFS) will not know the next time either.
const pause = 64

// Negative asks for paths where nothing is. The zero value is ready for use. It may be used concurrently.
type Negative struct {
	// left is for how many calls the kernel is not asked.
	left atomic.Int32
}

// Has reports whether the kernel knows, without looking at a disk, that nothing is at an absolute path. False means
// that there may be something, or may not be.
func (n *Negative) Has(path string) bool {
	if n.left.Load() > 0 {
		n.left.Add(-1)
		return false
	}

	absent, known := lookUp(path)
	if !known {
		n.left.Store(pause)
	}

	return absent
}
