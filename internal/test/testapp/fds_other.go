//go:build !linux

package testapp

import "golang.org/x/sys/unix"

func sessionID() int {
	sid, err := unix.Getsid(0)
	check(err)
	return sid
}

func inheritedFDs() (fds map[string]string, nonBlocking []int) { return nil, nil }

func dup(from, to int) error { return unix.Dup2(from, to) }
