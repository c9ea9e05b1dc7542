//go:build !linux

package inherit

import "os/exec"

// CloseFiles does nothing: this program opens its files so that they are not inherited.
func CloseFiles() {}

func startUnblocked(cmd *exec.Cmd) error { return cmd.Start() }
