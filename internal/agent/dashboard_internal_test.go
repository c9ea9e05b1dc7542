package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
)

func TestDashboardThatOthersCanReachNeedsAPassword(t *testing.T) {
	for _, c := range []struct{ address, file, want string }{
		{"127.0.0.1:9000", "", ""},
		{"localhost:9000", "", ""},
		{"[::1]:9000", "", ""},
		{"10.0.0.5:9000", "/etc/password", ""},
		{"", "", "dashboard is on, and metrics_address, where it is served, is not set: set it, as to 127.0.0.1:9000"},
		{"10.0.0.5:9000", "", "dashboard is on, and others can reach metrics_address, which is 10.0.0.5:9000: set " +
			"dashboard_password_file, or use an address of this machine only, such as 127.0.0.1"},
		{":9000", "", "dashboard is on, and others can reach metrics_address, which is :9000: set " +
			"dashboard_password_file, or use an address of this machine only, such as 127.0.0.1"},
		{"localhost.example:9000", "", "dashboard is on, and others can reach metrics_address, which is " +
			"localhost.example:9000: set dashboard_password_file, or use an address of this machine only, such as 127.0.0.1"},
	} {
		cfg := DefaultConfig()
		cfg.MetricsAddress, cfg.DashboardPasswordFile = c.address, c.file
		require.NoError(t, cfg.checkDashboard(), "it is off")

		cfg.Dashboard.Dashboard = true
		if c.want == "" {
			require.NoError(t, cfg.checkDashboard(), c.address)
		} else {
			require.EqualError(t, cfg.checkDashboard(), c.want)
		}
	}
}

func TestPasswordOfTheDashboardIsMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	d := Dashboard{DashboardPasswordFile: file}
	require.NoError(t, d.readDashboardPassword(logr.Discard()))
	require.NoFileExists(t, file, "it is off")
	require.Empty(t, d.dashboardAccounts())

	d.Dashboard = true
	require.NoError(t, d.readDashboardPassword(logr.Discard()))
	require.Equal(t, []apiserver.Account{{
		Name: "dashboard", Password: d.DashboardPassword, Level: apiserver.Full,
	}}, d.dashboardAccounts())

	again := Dashboard{Dashboard: true, DashboardPasswordFile: file}
	require.NoError(t, again.readDashboardPassword(logr.Discard()))
	require.Equal(t, d, again)

	require.NoError(t, os.Chmod(file, 0o644))
	require.ErrorContains(t, again.readDashboardPassword(logr.Discard()), "is not only for you to read")
}
