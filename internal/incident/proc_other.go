//go:build !linux

package incident

import "context"

// tree returns nothing: this system has no /proc.
func tree(context.Context, int) []SystemProcess { return nil }
