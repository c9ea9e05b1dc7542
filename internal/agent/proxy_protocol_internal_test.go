package agent

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/logged"
)

// Who connects decides how many refusals there are, and not how many lines.
func TestRefusedConnectionsAreCountedInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged.Buffer
		refused := refusals{log: log.Logger()}
		for range 1000 {
			refused.add(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1}, errors.New("no header"))
		}
		require.Equal(t, 1, log.Count("Connections were closed"))

		time.Sleep(refusalInterval)
		refused.add(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1}, errors.New("no header"))
		require.Equal(t, 2, log.Count("Connections were closed"))
		require.Equal(t, 1, log.Count(`"count"=1000`))
	})
}
