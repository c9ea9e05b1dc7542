//go:build !linux

package spawner

import "os"

func fileNumber(*os.File) uint64 { return 0 }

// waitsForInput is not known on other systems.
func (*attempt) waitsForInput() bool { return false }
