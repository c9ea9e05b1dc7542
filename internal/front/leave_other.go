//go:build !linux

package front

import "errors"

// leaveWatch does not work on this system.
type leaveWatch struct{}

func (*leaveWatch) open() error { return errors.ErrUnsupported }

func (*leaveWatch) works() bool { return false }

func (*leaveWatch) close() {}

func (*leaveWatch) add(*conn, uintptr) error { return errors.ErrUnsupported }

func (*leaveWatch) remove(*conn, bool) {}

func hasLeft(uintptr) bool { return false }
