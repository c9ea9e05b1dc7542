package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/agent"
)

func TestBannerOfADirectoryWithAnyNameIsPrintable(t *testing.T) {
	text := banner(&agent.Config{Dir: "/srv/a\x1b[31m\nb"}, []string{"http://127.0.0.1:3000/"})
	require.NotContains(t, text, "\x1b")
	require.Contains(t, text, "Application:         /srv/a?[31m")
	require.Contains(t, text, "Accessible via:      http://127.0.0.1:3000/\n")
}
