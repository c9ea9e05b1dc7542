package agent

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/dashboard"
)

// Dashboard decides whether Config.MetricsAddress serves a page with live figures, and for which password.
type Dashboard struct {
	// Dashboard turns the page on.
	Dashboard bool
	// DashboardPasswordFile has the password of dashboardAccount; empty means that there is none. It is made if it is
	// missing.
	DashboardPasswordFile string
	// DashboardPassword is what the file has; Start and Reload read it.
	DashboardPassword string
}

// dashboardAccount may look and change. So may the accounts of the instance directory, by their levels.
const dashboardAccount = "dashboard"

// checkDashboard makes sure that the page has an address, and a password where others can reach it.
func (c *Config) checkDashboard() error {
	switch {
	case !c.Dashboard.Dashboard:
		return nil
	case c.MetricsAddress == "":
		return errors.New("dashboard is on, and metrics_address, where it is served, is not set: set it, as to " +
			"127.0.0.1:9000")
	case c.DashboardPasswordFile == "" && !isLoopback(c.MetricsAddress):
		return fmt.Errorf("dashboard is on, and others can reach metrics_address, which is %s: set "+
			"dashboard_password_file, or use an address of this machine only, such as 127.0.0.1", c.MetricsAddress)
	}

	return nil
}

// isLoopback reports whether only this machine can connect to an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}

	ip, err := netip.ParseAddr(host)

	return host == "localhost" || err == nil && ip.IsLoopback()
}

// readDashboardPassword reads the file, or makes it.
func (d *Dashboard) readDashboardPassword(log logr.Logger) (err error) {
	if !d.Dashboard || d.DashboardPasswordFile == "" {
		return nil
	}

	var made bool
	if d.DashboardPassword, made, err = loadPassword(d.DashboardPasswordFile, "--dashboard-password-file"); err != nil {
		return err
	}

	if made {
		log.Info("made a password for the dashboard", "file", d.DashboardPasswordFile, "account", dashboardAccount)
	}

	return nil
}

func (d *Dashboard) dashboardAccounts() []apiserver.Account {
	if d.DashboardPassword == "" {
		return nil
	}

	return []apiserver.Account{{
		Name:     dashboardAccount,
		Password: d.DashboardPassword,
		Level:    apiserver.Full,
	}}
}

// dashboard returns the page, which is served on the address of metrics. It gets what it shows from the admin API on
// socket, as all others do, and with the rights of this user.
func (c *core) dashboard(api *apiserver.Server, socket string, metrics []deadlineListener) http.Handler {
	// It is only shown.
	host, _ := os.Hostname()
	reachable := slices.ContainsFunc(metrics, func(l deadlineListener) bool { return !isLoopback(l.Addr().String()) })

	return dashboard.New(dashboard.Config{
		Source: dashboard.API{Client: &apiserver.Client{Socket: socket}},
		Door: &dashboard.Accounts{
			Of: func(r *http.Request) dashboard.Access {
				level, ok := api.LevelOf(r)
				switch {
				case !ok:
					return dashboard.None
				case level == apiserver.Full:
					return dashboard.Change
				}

				return dashboard.Look
			},
			// What systemd has opened need not be the configured address.
			Open: c.cfg.Server.DashboardPassword == "" && !reachable,
		},
		Title:  host,
		Logger: c.log,
	})
}
