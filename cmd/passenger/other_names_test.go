package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

// What another name leads to must exist, and be no name of an option itself.
func TestOtherNamesLeadToOptions(t *testing.T) {
	t.Parallel()

	known := []string{appsKey}
	for _, o := range agent.OptionsIn(options.Start) {
		known = append(known, o.Keys()...)
	}

	for name, meant := range otherNames {
		require.NotContains(t, known, name)
		require.Equal(t, name, snakeCase(name))

		for _, one := range meant {
			require.True(t, slices.Contains(known, one), "%s leads to %s", name, one)
		}
	}
}
