package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// With an empty environment programs are found where they mostly are; a PATH that is there counts.
func TestPathHasADefault(t *testing.T) {
	t.Setenv("PATH", "/opt/bin")
	setPath()
	require.Equal(t, "/opt/bin", os.Getenv("PATH"))

	require.NoError(t, os.Unsetenv("PATH"))
	setPath()
	require.Equal(t, defaultPath, os.Getenv("PATH"))
}
