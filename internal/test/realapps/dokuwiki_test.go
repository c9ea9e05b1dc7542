package realapps_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const dokuwikiSource = "/usr/share/dokuwiki"

const dokuwikiConf = `<?php
$conf['title'] = 'A Wiki';
$conf['savedir'] = './data';
$conf['send404'] = 1;
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['authtype'] = 'authplain';
$conf['disableactions'] = 'register';
`

// dokuwiki makes a wiki of its own from Debian's package.
func dokuwiki(t testing.TB) *workshop {
	t.Helper()
	php := interpreters.Find(t, "php", "php")
	interpreters.Find(t, "php", "php-cgi")
	if _, err := os.Stat(filepath.Join(dokuwikiSource, "doku.php")); err != nil {
		interpreters.Missing(t, "dokuwiki", "DokuWiki is not installed: run scripts/install-realapps")
	}

	w := newWorkshop(t)
	copyTree(t, dokuwikiSource, w.dir)
	copyTree(t, "/etc/dokuwiki", filepath.Join(w.dir, "conf"))
	copyTree(t, "/var/lib/dokuwiki/data", filepath.Join(w.dir, "data"))

	// Debian's leads to the wiki of the machine.
	require.NoError(t, os.Remove(filepath.Join(w.dir, "inc", "preload.php")))

	hash := w.run(t, php, "-r", `echo password_hash("swordfish", PASSWORD_BCRYPT);`)
	w.write(t, "conf/local.php", dokuwikiConf)
	w.write(t, "conf/users.auth.php", "# users.auth.php\n# <?php exit()?>\nadmin:"+strings.TrimSpace(hash)+
		":Admin:admin@example.com:admin,user\n")
	w.write(t, "conf/acl.auth.php", "# acl.auth.php\n# <?php exit()?>\n*\t@ALL\t1\n*\t@user\t8\n")

	return w
}

func TestDokuWiki(t *testing.T) {
	t.Parallel()
	w := dokuwiki(t)
	s := w.start(t, "--environment", "production", "--php-ini", "upload_max_filesize=8M")

	s.get(t, "/doku.php?id=wiki:syntax", http.StatusOK, "Formatting Syntax")
	s.get(t, "/doku.php?id=start", http.StatusNotFound, "This topic does not exist yet")
	s.requireStatic(t, "/lib/images/bullet.png", "image/png", "PNG")
	s.lacks(gotStream, "DokuWiki")
	s.lacks(gotSocket, "PHP")
	s.get(t, "/lib/exe/css.php", http.StatusOK, "")
	s.get(t, "/conf/users.auth.php", http.StatusNotFound, "")

	login := s.get(t, "/doku.php?id=start&do=login", http.StatusOK, "<form")
	s.post(t, "/doku.php?id=start&do=login", "sectok", login.field(t, "sectok"), "u", "admin", "p", "swordfish")
	edit := s.get(t, "/doku.php?id=start&do=edit", http.StatusOK, "Logged in as")
	saved := s.post(t, "/doku.php?id=start", "sectok", edit.field(t, "sectok"), "id", "start", "rev", "0", "date",
		edit.field(t, "date"),
		"prefix", ".", "suffix", "", "changecheck", edit.field(t, "changecheck"), "target", "section",
		"wikitext", "====== Welcome, Zoë ======", "summary", "a test", "do[save]", "Save")
	saved.requireRedirect(t, http.StatusFound, "/doku.php?id=start")
	s.get(t, "/", http.StatusFound, "")
	s.get(t, "/doku.php", http.StatusOK, "Welcome, Zoë")

	s.upload(t, "/lib/exe/ajax.php?call=mediaupload&ns=&mediaid=notes.zip", "qqfile", "notes.zip",
		"call", "mediaupload", "ns", "", "mediaid", "notes.zip", "sectok", edit.field(t, "sectok")).require(t,
		http.StatusOK, "")
	require.Len(t, s.get(t, "/lib/exe/fetch.php?media=notes.zip", http.StatusOK, "").body, uploadSize)
	s.requirePrivate(t)

	// DokuWiki renders a page again that is not a second older than its cache, and reads what another process writes.
	w.age(t)
	s.get(t, "/doku.php?id=start", http.StatusOK, "Welcome, Zoë")
	s.restartUnderLoad(t, "/doku.php?id=start", "Welcome, Zoë")
}

// age makes all files of the application an hour old.
func (w *workshop) age(t testing.TB) {
	t.Helper()
	then := time.Now().Add(-time.Hour)

	require.NoError(t, filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}

		return os.Chtimes(path, then, then)
	}))
}

// requirePrivate asks for a page's file in all ways in which its path can be written.
func (s *server) requirePrivate(t testing.TB) {
	t.Helper()
	require.FileExists(t, filepath.Join(s.dir, "data", "pages", "start.txt"))

	for _, target := range []string{
		"/data/pages/start.txt", "//data/pages/start.txt", "///data/pages/start.txt", "/data//pages/start.txt",
		"/data/pages/start.txt?x",
		"/lib/../data/pages/start.txt", "/./data/pages/start.txt", "/lib/%2e%2e/data/pages/start.txt",
		"/%64ata/pages/start.txt",
		"/data%2fpages/start.txt", "/%2fdata/pages/start.txt", "/data/pages/start.txt/x", "//x/../data/pages/start.txt",
	} {
		a := s.ask(t, http.MethodGet, target, nil)
		require.NotContains(t, a.body, "Welcome", target)
		require.GreaterOrEqual(t, a.StatusCode, http.StatusBadRequest, target)
	}
}
