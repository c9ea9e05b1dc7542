//go:build !linux

package admin

import (
	"context"
	"runtime"
)

func kernelChecks() []check {
	return []check{{"System", "what the kernel can do", func(context.Context, *Host) Result {
		return skip("this is looked at on Linux only, and not on %s", runtime.GOOS)
	}}}
}
