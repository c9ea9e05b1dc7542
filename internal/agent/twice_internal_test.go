package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilesThatTwoOptionsNameAreRefused(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Symlink(file, link))

	set := map[string]func(c *Config, path string){
		"socket_file":     func(c *Config, path string) { c.SocketFile = path },
		"pid_file":        func(c *Config, path string) { c.PIDFile = path },
		"log_file":        func(c *Config, path string) { c.LogFile = path },
		"app_log_file":    func(c *Config, path string) { c.AppLogFile = path },
		"transaction_log": func(c *Config, path string) { c.TransactionLog = path },
		"access_log":      func(c *Config, path string) { c.AccessLog = path },
		"apps: app_log_file": func(c *Config, path string) {
			c.Apps = []HostedApp{{Config: &Config{}}, {Config: &Config{Logs: Logs{AppLogFile: path}}}}
		},
		"ssl_certificate":         func(c *Config, path string) { c.SSLCertificate = path },
		"ssl_certificate_key":     func(c *Config, path string) { c.SSLKey = path },
		"dashboard_password_file": func(c *Config, path string) { c.DashboardPasswordFile = path },
		"password_file":           func(c *Config, path string) { c.Flying.PasswordFile = path },
	}
	uses := map[string]use{
		"socket_file": isAlone, "pid_file": isAlone, "log_file": isLogged, "app_log_file": isLogged,
		"transaction_log": isLogged, "access_log": isLogged, "apps: app_log_file": isLogged,
	}

	for one, setOne := range set {
		for other, setOther := range set {
			if one == other {
				continue
			}

			for _, paths := range [][2]string{
				{file, file},
				{file, link},
				{filepath.Join(dir, "new"), filepath.Join(dir, "x", "..", "new")},
			} {
				c := Config{Flying: &Flying{}}
				setOne(&c, paths[0])
				setOther(&c, paths[1])
				err := errors.Join(c.checkTwice()...)
				if uses[one] == uses[other] && uses[one] != isAlone {
					require.NoError(t, err)
					continue
				}

				require.ErrorContains(t, err, one)
				require.ErrorContains(t, err, other)
			}
		}
	}

	c := Config{LogFile: standardOutput}
	c.AccessLog = standardOutput
	require.Empty(t, c.checkTwice(), "two logs may share it")

	c = Config{LogFile: os.DevNull}
	c.TransactionLog, c.DashboardPasswordFile = os.DevNull, os.DevNull
	require.Empty(t, c.checkTwice(), "a device is for many")
}

func TestPortThatTheServerItselfHasIsNamed(t *testing.T) {
	for _, row := range []struct {
		address, metrics string
		own              bool
	}{
		{"127.0.0.1", "127.0.0.1:%d", true},
		{"0.0.0.0", "127.0.0.1:%d", true},
		{"127.0.0.1", "0.0.0.0:%d", true},
		{"127.0.0.1", ":%d", true},
		{"localhost", "localhost:%d", true},
		{"127.0.0.1", "127.0.0.2:%d", false},
	} {
		open := func(port int) error {
			c := Config{Address: row.address, Port: port, MetricsAddress: fmt.Sprintf(row.metrics, port)}
			ports, err := c.openPorts(t.Context())
			require.Error(t, err, "%+v", ports)

			return err
		}

		if row.own {
			err := onFreePort(t, open)
			require.ErrorContains(t, err, "as --metrics-address asks for: the server itself listens on ")
			require.ErrorContains(t, err, ", by --port: choose another port for one of them")

			continue
		}

		// Another program has the port at an address that is not the server's.
		taken, err := net.Listen("tcp", "127.0.0.2:0")
		require.NoError(t, err)
		require.ErrorContains(t, open(portOf(t, taken)), "is in use by another program")
		require.NoError(t, taken.Close())
	}

	err := onFreePort(t, func(port int) error {
		c := Config{Address: "127.0.0.1", Port: port, TLS: TLS{SSL: true, SSLPort: port}}
		_, err := c.openPorts(t.Context())

		return err
	})
	require.ErrorContains(t, err, "as --ssl-port asks for: the server itself listens on ")
}

// onFreePort returns the error of open at a port that no other program takes meanwhile.
func onFreePort(t *testing.T, open func(port int) error) (err error) {
	t.Helper()

	for range 20 {
		l, listenErr := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, listenErr)
		port := portOf(t, l)
		require.NoError(t, l.Close())

		if err = open(port); err == nil || !strings.Contains(err.Error(), "in use by another program") {
			return err
		}
	}

	return err
}

func portOf(t *testing.T, l net.Listener) int {
	t.Helper()
	addr, ok := l.Addr().(*net.TCPAddr)
	require.True(t, ok)

	return addr.Port
}
