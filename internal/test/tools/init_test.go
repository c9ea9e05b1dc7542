package tools_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	ourModule = "github.com/gopassenger/passenger"
	// What a package of ours may allocate when the program starts, which each command and each core has to wait for:
	// that takes about 0.1 ms. A table, a pattern or a template that not every command needs is made when it is used.
	maxInitBytes, maxInitAllocs = 32<<10 + interfaceTable, 350
	// The runtime doubles its table of interfaces to 1024 entries while some package initializes itself: which one
	// depends on how many interfaces the whole program has.
	interfaceTable = 18 << 10
	// What a package of others may. Most is procfs's, which compiles patterns for files that we do not read.
	maxOtherInitBytes, maxOtherInitAllocs = 128 << 10, 1200
)

// initLine is what GODEBUG=inittrace=1 prints of a package.
var initLine = regexp.MustCompile(`(?m)^init (\S+) @.* clock, (\d+) bytes, (\d+) allocs$`)

// Times are not looked at: they depend on the machine.
func TestPackagesDoLittleWhenTheProgramStarts(t *testing.T) {
	cmd := exec.Command(filepath.Join(built, "passenger"), "--version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))

	found := initLine.FindAllStringSubmatch(string(out), -1)
	require.Greater(t, len(found), 50, string(out))

	ours := 0
	for _, m := range found {
		maxBytes, maxAllocs := maxOtherInitBytes, maxOtherInitAllocs
		if m[1] == "main" || strings.HasPrefix(m[1], ourModule) {
			maxBytes, maxAllocs = maxInitBytes, maxInitAllocs
			ours++
		}

		bytes, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		require.LessOrEqual(t, bytes, maxBytes, m[0])

		allocs, err := strconv.Atoi(m[3])
		require.NoError(t, err)
		require.LessOrEqual(t, allocs, maxAllocs, m[0])
	}

	require.Greater(t, ours, 10)
}
