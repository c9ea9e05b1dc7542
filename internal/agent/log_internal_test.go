package agent

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/ratelog"
)

func TestFloodsAreOneLineWithACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tell := floodLog(jsonLogger(&out))
		client := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711}

		for range 100 {
			tell(client, errors.New("too many frames"))
		}

		require.Equal(t, 1, strings.Count(out.String(), "\n"))
		require.Contains(t, out.String(), `"client":"192.0.2.1:4711","more":0`)

		time.Sleep(ratelog.Interval)
		tell(client, errors.New("too many frames"))
		require.Contains(t, out.String(), `"more":99`)
	})
}
