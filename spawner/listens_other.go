//go:build !linux

package spawner

// holdsSocket would need to know which process has which socket.
func (*attempt) holdsSocket(map[uint64]bool) bool { return false }

func hasSessionUser(int, int) bool { return false }
