package scgi

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The system sends files itself, from where they were read to and up to a
// given length, also to those who read slowly.
func TestSendFile(t *testing.T) {
	dir := t.TempDir()
	content := strings.Repeat("0123456789", 500_000)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte(content), 0o600))

	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			addr := filepath.Join(dir, "s")
			if network == "tcp" {
				addr = "127.0.0.1:0"
			}

			l, err := net.Listen(network, addr)
			require.NoError(t, err)
			defer l.Close()
			client, err := net.Dial(network, l.Addr().String())
			require.NoError(t, err)
			defer client.Close()
			server, err := l.Accept()
			require.NoError(t, err)
			f, err := os.Open(filepath.Join(dir, "f"))
			require.NoError(t, err)
			defer f.Close()
			_, err = f.Seek(10, io.SeekStart)
			require.NoError(t, err)
			got := make(chan string, 1)
			go func() {
				b, _ := io.ReadAll(client)
				got <- string(b)
			}()
			sent, err := sendFile(server, f, 4_000_000)
			require.NoError(t, err)
			require.EqualValues(t, 4_000_000, sent)
			sent, err = sendFile(server, f, 1<<40)
			require.NoError(t, err)
			require.EqualValues(t, 999_990, sent)
			require.NoError(t, server.Close())
			require.Equal(t, content[10:], <-got)
		})
	}

	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	sent, err := sendFile(server, os.Stdin, 1)
	require.NoError(t, err)
	require.Zero(t, sent)
}
