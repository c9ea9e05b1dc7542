package realapps_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const redmineSource = "/usr/share/redmine"

// redmineToken is what an upload is known by until something has it.
var redmineToken = regexp.MustCompile(`val\('([0-9]+\.[0-9a-f]+)'\)`)

const redmineDatabase = `production:
  adapter: sqlite3
  database: instances/shop/redmine.sqlite3
  timeout: 10000
`

// redmine makes an instance of its own from Debian's package, in which the instance's
// files are below instances/shop.
func redmine(t testing.TB) *workshop {
	t.Helper()
	if _, err := os.Stat(filepath.Join(redmineSource, "config.ru")); err != nil {
		interpreters.Missing(t, "redmine", "Redmine is not installed: run scripts/install-realapps --all")
	}

	interpreters.Find(t, "redmine", "bundle")
	w := newWorkshop(t, "RAILS_ENV=production", "RUBYOPT=-W0", "REDMINE_LANG=en", "REDMINE_INSTANCE=shop")
	w.run(t, "cp", "-a", redmineSource, w.dir)

	// These are links to the Redmine of the machine.
	w.run(t, "rm", "instances", "Gemfile.lock", "config/database.yml")
	w.write(t, "instances/shop/config/database.yml", redmineDatabase)
	w.write(t, "instances/shop/config/secret_key.txt", strings.Repeat("only for a test ", 8))

	for _, dir := range []string{"files", "log", "tmp", "public/plugin_assets"} {
		require.NoError(t, os.MkdirAll(filepath.Join(w.dir, "instances", "shop", dir), 0o755))
	}

	w.edit(t, "Gemfile", redmineSource, w.dir)

	w.run(t, "bundle", "install", "--local")
	w.run(t, "bundle", "exec", "rake", "db:migrate")
	w.run(t, "bundle", "exec", "rake", "redmine:load_default_data")

	return w
}

func TestRedmine(t *testing.T) {
	t.Parallel()
	slow(t)
	s := redmine(t).start(t, "--environment", "production", "--health-path", "/login")

	s.get(t, "/", http.StatusOK, "Redmine")
	s.requireStatic(t, "/stylesheets/application.css", "text/css", "body")
	s.requireStatic(t, "/javascripts/application.js", "javascript", "function")
	s.get(t, "/my/page", http.StatusFound, "")
	s.get(t, "/missing", http.StatusNotFound, "")

	// The first login of Redmine's administrator is with a password that has to be changed.
	s.post(t, "/login", "username", "admin", "password", "admin").require(t, http.StatusUnprocessableEntity, "")
	login := s.get(t, "/login", http.StatusOK, "login-form")
	s.post(t, "/login", "username", "admin", "password", "admin",
		"authenticity_token", login.field(t, "authenticity_token")).requireRedirect(t, http.StatusFound, "/my/page")
	s.get(t, "/my/page", http.StatusFound, "").requireRedirect(t, http.StatusFound, "/my/password")
	change := s.get(t, "/my/password", http.StatusOK, "new_password")
	s.post(t, "/my/password", "password", "admin", "new_password", "swordfish", "new_password_confirmation",
		"swordfish",
		"authenticity_token", change.field(t, "authenticity_token")).requireRedirect(t, http.StatusFound, "/my/account")

	form := s.get(t, "/projects/new", http.StatusOK, "New project")
	s.post(t, "/projects", "project[name]", "Chairs", "project[identifier]", "chairs", "project[tracker_ids][]", "1",
		"project[enabled_module_names][]", "issue_tracking", "authenticity_token", form.field(t, "authenticity_token")).
		requireRedirect(t, http.StatusFound, "/projects/chairs/settings")
	s.requireIssue(t)
	s.lacks(gotStream, "Redmine")
	s.lacks(gotSocket, "Redmine")
	s.restartUnderLoad(t, "/login", "login-form")
}

// requireIssue makes an issue with a file, which is uploaded first as Redmine's page
// does, and gets the file back.
func (s *server) requireIssue(t testing.TB) {
	t.Helper()
	page := s.get(t, "/projects/chairs/issues/new", http.StatusOK, "New issue")
	csrf := page.field(t, "authenticity_token")
	uploaded := s.ask(t, http.MethodPost, "/uploads.js?attachment_id=1&filename=photo.bin",
		strings.NewReader(strings.Repeat("x", uploadSize)),
		"Content-Type", "application/octet-stream", "X-CSRF-Token", csrf, "X-Requested-With", "XMLHttpRequest",
		"Accept", "text/javascript", "Origin", s.base)
	uploaded.require(t, http.StatusOK, "input.token")
	token := redmineToken.FindStringSubmatch(uploaded.body)
	require.NotNil(t, token, uploaded.body)

	s.post(t, "/projects/chairs/issues", "issue[tracker_id]", "1", "issue[subject]", "It wobbles, Zoë",
		"issue[priority_id]", "2",
		"attachments[1][token]", token[1], "attachments[1][filename]", "photo.bin", "authenticity_token", csrf).
		requireRedirect(t, http.StatusFound, "/issues/1")
	s.get(t, "/issues/1", http.StatusOK, "It wobbles, Zoë").require(t, http.StatusOK, "photo.bin")
	require.Len(t, s.get(t, "/attachments/download/1/photo.bin", http.StatusOK, "").body, uploadSize)
}
