package spawner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// What applications and their users write there with Apache: nginx and others ignore it, and execute uploads.
func TestHtaccessKeepsFilesFromPHPAndFromClients(t *testing.T) {
	const drupal = "Options -Indexes\nSetHandler Drupal_Security_Do_Not_Remove\n<Files *>\n" +
		"  SetHandler Drupal_Security\n</Files>\n<IfModule mod_php.c>\n  php_flag engine off\n</IfModule>\n"

	for name, test := range map[string]struct {
		htaccess     string
		runs, public bool
	}{
		"nothing":               {"", true, true},
		"other directives":      {"Options -Indexes\nRewriteRule . index.php\n<FilesMatch \"\\.js$\">\nHeader set A b\n</FilesMatch>\n", true, true},
		"Drupal":                {drupal, false, true},
		"the engine":            {"<IfModule mod_php7.c>\r\nphp_flag engine off\r\n</IfModule>\r\n", false, true},
		"the engine, again":     {"php_flag engine 0\nphp_flag engine on\n", true, true},
		"another flag":          {"php_flag display_errors off\n", true, true},
		"a type":                {"ForceType application/octet-stream\n", false, true},
		"a handler of PHP":      {"<FilesMatch \"\\.php$\">\nSetHandler \"proxy:unix:/run/php-fpm.sock|fcgi://x\"\n</FilesMatch>\n", true, true},
		"handlers removed":      {"RemoveHandler .cgi .PHP .pl\n", false, true},
		"a version of PHP":      {"RemoveType .php\nAddType application/x-httpd-php74 .php .html\n", true, true},
		"scripts of CGI":        {"AddHandler cgi-script .php .pl\nOptions -ExecCGI\n", false, true},
		"files by name":         {"<Files *.php>\nDeny from all\n</Files>\n", false, true},
		"files by pattern":      {"<FilesMatch \"(?i)\\.(php[0-9]?|phtml)$\">\n  Require all denied\n</FilesMatch>\n", false, true},
		"files by ~":            {"<Files ~ '\\.php$'>\nOrder allow,deny\nDeny from all\n</Files>\n", false, true},
		"this file":             {"<Files x.php>\nRequire all denied\n</Files>\n", false, true},
		"another file":          {"<Files y.php>\nRequire all denied\n</Files>\n", true, true},
		"an exception":          {"<Files *.php>\nRequire all denied\n</Files>\n<Files x.php>\nRequire all granted\n</Files>\n", true, true},
		"dumps":                 {"<FilesMatch \"\\.(sql|log)$\">\nRequire all denied\n</FilesMatch>\n", true, false},
		"some methods":          {"<Limit PUT>\nDeny from all\n</Limit>\n", true, true},
		"what is not known":     {"<FilesMatch \"(?!x).*\">\nRequire all denied\n</FilesMatch>\n", true, true},
		"ends without a start":  {"</Files>\n</Files>\nphp_flag engine off\n", false, true},
		"ends, and denies some": {"</Files>\n<Files y.php>\nDeny from all\n</Files>\n", true, true},
		"too many":              {strings.Repeat("<Files a>\n</Files>\n", 100) + "<Files *>\nDeny from all\n</Files>\n", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			for dir, file := range map[string]string{"files": "files/", "files, from the root": ""} {
				root := t.TempDir()
				writeFiles(t, root, "index.php", "files/x.php", "files/sub/x.php", "files/sub/index.php", "files/a.sql")
				require.NoError(t, os.WriteFile(filepath.Join(root, file, ".htaccess"), []byte(test.htaccess), 0o600))
				scripts := spawner.FindScripts(&spawner.App{Root: root})

				for _, script := range []string{"/files/x.php", "/files/sub/x.php"} {
					found, err := scripts.Find(script + "/info")
					require.NoError(t, err)
					require.Equal(t, test.runs, found.Name == script, "%s: %s", dir, script)
				}

				require.Equal(t, test.public, !scripts.IsDenied("files/a.sql"), dir)
			}
		})
	}
}

// A file of more than its own directories' rules is asked of all of them, the nearest last.
func TestHtaccessOfTheNearestDirectoryCountsMost(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, "index.php", "a/x.php", "a/b/x.php")

	for dir, flag := range map[string]string{"a": "off", "a/b": "on"} {
		text := fmt.Sprintf("php_flag engine %s\n", flag)
		require.NoError(t, os.WriteFile(filepath.Join(root, dir, ".htaccess"), []byte(text), 0o600))
	}

	scripts := spawner.FindScripts(&spawner.App{Root: root})
	for path, want := range map[string]string{"/a/x.php": "/index.php", "/a/b/x.php": "/a/b/x.php"} {
		found, err := scripts.Find(path)
		require.NoError(t, err)
		require.Equal(t, want, found.Name)
	}
}

func TestLongHtaccessDeniesWhatItSays(t *testing.T) {
	for name, test := range map[string]struct {
		htaccess string
		denied   bool
	}{
		"addresses":            {strings.Repeat("# spam\n", 15_000), false},
		"denied behind 100 KB": {strings.Repeat("# spam\n", 15_000) + "Deny from all\n", true},
		"more than is read":    {strings.Repeat("#\n", 1<<20), true},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			writeFiles(t, root, "index.php", "files/x.php", "files/a.sql")
			require.NoError(t, os.WriteFile(filepath.Join(root, "files/.htaccess"), []byte(test.htaccess), 0o600))
			scripts := spawner.FindScripts(&spawner.App{Root: root})
			_, err := scripts.Find("/files/x.php")
			require.Equal(t, test.denied, err != nil)
			require.Equal(t, test.denied, scripts.IsDenied("files/a.sql"))
		})
	}
}
