//go:build !(linux && amd64)

package e2e_test

import (
	"testing"
	"time"
)

const clockVar = "E2E_CLOCK"

func playClock() (status int) { return 1 }

// onClock cannot change what the server reads here.
func (s *server) onClock(_ *testing.T, _ time.Duration, do func()) { do() }
