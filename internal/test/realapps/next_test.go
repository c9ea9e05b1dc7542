package realapps_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	nextStyle  = regexp.MustCompile(`/_next/static/[^"]+\.css`)
	nextScript = regexp.MustCompile(`/_next/static/[^"]+\.js`)
)

// nextApp makes an application by hand, as Next.js' documents say, and builds it.
func nextApp(t testing.TB, config ...string) *workshop {
	t.Helper()
	modules := packages(t, "next", 20)
	w := newWorkshop(t, "NEXT_TELEMETRY_DISABLED=1", "PASSENGER_TRUSTED_PROXIES=127.0.0.1")
	w.copySource(t, "next")
	w.edit(t, "next.config.mjs", config...)

	// A link to outside of the application is none that its bundler follows.
	w.run(t, "cp", "-a", modules, "node_modules")
	w.run(t, "npm", "run", "build")

	return w
}

func TestNext(t *testing.T) {
	t.Parallel()
	slow(t)
	t.Run("next start", func(t *testing.T) {
		t.Parallel()
		w := nextApp(t)
		w.start(t, "--environment", "production", "--start-command",
			"npx --no-install next start -H localhost -p $PORT").requireNext(t)
	})
	t.Run("standalone", func(t *testing.T) {
		t.Parallel()
		w := nextApp(t, "export default {", "export default {\n  output: 'standalone',")
		w.run(t, "cp", "-r", "public", ".next/standalone/")
		w.run(t, "cp", "-r", ".next/static", ".next/standalone/.next/")
		w.dir = filepath.Join(w.dir, ".next", "standalone")
		w.start(t, "--environment", "production").requireNext(t)
	})
}

func (s *server) requireNext(t testing.TB) {
	t.Helper()

	page := s.get(t, "/", http.StatusOK, "Next.js")
	for path, kind := range map[string]string{
		nextStyle.FindString(page.body):  "text/css",
		nextScript.FindString(page.body): "javascript",
	} {
		require.NotEmpty(t, path, page.body)
		asset := s.get(t, path, http.StatusOK, "")
		require.Contains(t, asset.Header.Get("Content-Type"), kind)
		require.Contains(t, asset.Header.Get("Cache-Control"), "immutable")
	}

	s.requireStatic(t, "/robots.txt", "text/plain", "User-agent")
	s.get(t, "/api/hello?name=Zoe", http.StatusOK, `{"hello":"Zoe"}`)
	s.get(t, "/old", http.StatusPermanentRedirect, "").requireRedirect(t, http.StatusPermanentRedirect, "/about")
	s.get(t, "/about", http.StatusOK, "About this application")
	s.get(t, "/missing", http.StatusNotFound, "404")
	s.upload(t, "/api/upload", "photo", "photo.png").require(t, http.StatusOK, `"size":`+strconv.Itoa(uploadSize))
	s.requireStream(t, "/api/stream", "data: first", "data: second")
	s.requireServerAction(t, page)
	s.requireMiddleware(t)
	s.lacks(gotSocket, "Next.js")
	s.restartUnderLoad(t, "/", "Next.js")
}

// requireMiddleware checks that middleware, which sees another address than the client's, leads clients nowhere else.
func (s *server) requireMiddleware(t testing.TB) {
	t.Helper()

	for _, scheme := range []string{"http", "https"} {
		s.ask(t, http.MethodGet, "/rewritten", nil, "X-Forwarded-Proto", scheme).
			require(t, http.StatusOK, "About this application")
		s.ask(t, http.MethodGet, "/redirected", nil, "X-Forwarded-Proto", scheme).
			requireRedirect(t, http.StatusTemporaryRedirect, "/about")
	}
}

// requireServerAction sends the form of a page as a browser without JavaScript does.
func (s *server) requireServerAction(t testing.TB, page *reply) {
	t.Helper()
	action := regexp.MustCompile(`name="(\$ACTION_ID_[0-9a-f]+)"`).FindStringSubmatch(page.body)
	require.NotNil(t, action, page.body)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	require.NoError(t, form.WriteField(action[1], ""))
	require.NoError(t, form.WriteField("name", "Zoe"))
	require.NoError(t, form.Close())

	a := s.ask(t, http.MethodPost, "/", &body, "Content-Type", form.FormDataContentType(), "Origin", s.base)
	a.requireRedirect(t, http.StatusSeeOther, "/about")
	require.Contains(t, s.get(t, "/", http.StatusOK, "").body, "Zoe")
}
