//go:build !linux

package spawner

// withRights runs f. Only Linux has rights that belong to threads.
func (*identity) withRights(f func() error) error { return f() }

// asFileUser runs f.
func asFileUser(_ int, f func() error) error { return f() }
