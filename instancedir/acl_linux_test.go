package instancedir_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// The registry's ACL has a default for new entries.
// Faults: R-03.
func TestDefaultACLOfRegistryAdmitsNoOtherUser(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)
	const userObject, user, groupObject, mask, other = 1, 2, 4, 16, 32

	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range []struct {
		tag uint16
		id  uint32
	}{{userObject, ^uint32(0)}, {user, alice}, {groupObject, ^uint32(0)}, {mask, ^uint32(0)}, {other, ^uint32(0)}} {
		acl = binary.LittleEndian.AppendUint16(acl, entry.tag)
		acl = binary.LittleEndian.AppendUint16(acl, 7)
		acl = binary.LittleEndian.AppendUint32(acl, entry.id)
	}

	if err := syscall.Setxattr(registry, "system.posix_acl_default", acl, 0); err != nil {
		interpreters.Missing(t, "root", "cannot set an ACL: "+err.Error())
	}

	allowed := func(what, path string) bool {
		test := exec.CommandContext(t.Context(), "test", what, path)
		as(alice)(test)
		test.Dir = "/"

		return test.Run() == nil
	}
	require.NoError(t, os.WriteFile(filepath.Join(registry, "control"), nil, 0o666))
	require.True(t, allowed("-w", filepath.Join(registry, "control")), "the ACL works")

	d := run(t, registry)
	for _, name := range entries(t, d.Path()) {
		require.False(t, allowed("-w", filepath.Join(d.Path(), name)), name)
	}

	require.False(t, allowed("-w", d.Path()))
	require.False(t, allowed("-r", filepath.Join(d.Path(), "full_admin_password.txt")))
	require.True(t, allowed("-r", filepath.Join(d.Path(), "properties.json")))
}
