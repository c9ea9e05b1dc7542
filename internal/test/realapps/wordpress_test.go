package realapps_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const wordPressSource = "/usr/share/wordpress"

// database is a MariaDB of the test's own, on a Unix socket.
type database struct{ socket string }

// startDatabase starts one in the box. It ends with the test.
func (w *workshop) startDatabase(t testing.TB) *database {
	t.Helper()
	install := interpreters.Find(t, "mariadb", "mariadb-install-db")
	server := interpreters.Find(t, "mariadb", "mariadbd", "/usr/sbin/mariadbd")

	user := "--user=" + w.run(t, "sh", "-c", "printf %s \"$(id -un)\"")
	dir := filepath.Join(w.Dir, "db")
	d := &database{socket: filepath.Join(w.Dir, "db.sock")}
	w.run(t, install, "--no-defaults", "--datadir="+dir, "--auth-root-authentication-method=normal",
		"--skip-test-db", user)

	w.daemon(t, d.socket, server, "--no-defaults", "--datadir="+dir, "--socket="+d.socket, "--skip-networking",
		"--pid-file="+filepath.Join(w.Dir, "db.pid"), "--innodb-buffer-pool-size=16M", user)

	return d
}

func (d *database) run(t testing.TB, w *workshop, statement string) {
	t.Helper()
	client := interpreters.Find(t, "mariadb", "mariadb")
	w.run(t, client, "--no-defaults", "--user=root", "--socket="+d.socket, "-e", statement)
}

// wordPress makes an application as WordPress' guide does, by hand: the files, and a database.
func wordPress(t testing.TB) (*workshop, *database) {
	t.Helper()
	interpreters.Find(t, "php", "php-cgi")
	if _, err := os.Stat(filepath.Join(wordPressSource, "wp-content", "themes", "twentytwentythree")); err != nil {
		interpreters.Missing(t, "wordpress", "WordPress is not installed: run scripts/install-realapps --all")
	}

	w := newWorkshop(t)
	d := w.startDatabase(t)
	d.run(t, w, "CREATE DATABASE wordpress")

	// Debian's has links to the libraries of other packages.
	w.run(t, "cp", "-rL", wordPressSource, w.dir)
	require.NoError(t, os.Remove(filepath.Join(w.dir, "wp-config.php")))
	w.write(t, "wp-config.php", `<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:`+d.socket+`');
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
define('WP_SITEURL', WP_HOME);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
`)

	return w, d
}

func TestWordPress(t *testing.T) {
	t.Parallel()
	slow(t)
	w, d := wordPress(t)
	s := w.start(t)

	s.get(t, "/", http.StatusFound, "").requireRedirect(t, http.StatusFound, "/wp-admin/install.php")
	s.post(t, "/wp-admin/install.php?step=2",
		"weblog_title", "A shop",
		"user_name", "zoe",
		"admin_password", "swordfish",
		"admin_password2", "swordfish",
		"pw_weak", "1",
		"admin_email", "zoe@example.com",
		"blog_public", "0",
		"language", "",
	).require(t, http.StatusOK, "Success!")
	s.get(t, "/", http.StatusOK, "Hello world!")
	s.requireStatic(t, "/wp-includes/css/dashicons.min.css", "text/css", "dashicons")
	s.get(t, "/wp-config.php", http.StatusOK, "")
	s.get(t, "/wp-config-sample.php~", http.StatusNotFound, "")

	s.get(t, "/wp-login.php", http.StatusOK, "<form")
	s.post(t, "/wp-login.php",
		"log", "zoe",
		"pwd", "swordfish",
		"wp-submit", "Log In",
		"testcookie", "1",
		"redirect_to", s.base+"/wp-admin/",
	).requireRedirect(t, http.StatusFound, "/wp-admin/")
	s.get(t, "/wp-admin/", http.StatusOK, "Dashboard")
	s.get(t, "/wp-admin", http.StatusMovedPermanently, "").
		requireRedirect(t, http.StatusMovedPermanently, "/wp-admin/")

	// Names in the place of numbers need what other servers do by rewrite rules.
	d.run(t, w, "UPDATE wordpress.wp_options SET option_value = '/%postname%/' "+
		"WHERE option_name = 'permalink_structure'; "+
		"DELETE FROM wordpress.wp_options WHERE option_name = 'rewrite_rules'")
	s.get(t, "/hello-world/", http.StatusOK, "Welcome to WordPress")
	s.get(t, "/no-such-page/", http.StatusNotFound, "")

	s.lacks(gotStream, "WordPress")
	s.lacks(gotSocket, "PHP")
	s.restartUnderLoad(t, "/hello-world/", "Welcome to WordPress")
}
