package realapps_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// phpPages is an application of single scripts, as people have them in their document root.
var phpPages = map[string]string{
	"index.php":  `<?php echo "front ", $_SERVER["REQUEST_URI"], " ", $_SERVER["PATH_INFO"] ?? "";`,
	"hello.php":  `<?php echo "hello ", $_GET["name"] ?? "", " ", $_SERVER["PATH_INFO"] ?? "", " ", $_SERVER["PHP_SELF"];`,
	"form.php":   `<?php echo $_POST["name"], "|", $_SERVER["CONTENT_TYPE"], "|", $_SERVER["CONTENT_LENGTH"];`,
	"upload.php": `<?php $f = $_FILES["file"]; echo $f["error"], "|", $f["size"], "|", md5_file($f["tmp_name"]);`,
	"input.php":  `<?php $s = 0; $in = fopen("php://input", "r"); while (!feof($in)) $s += strlen(fread($in, 8192)); echo $s;`,
	"ignore.php": `<?php echo "ignored";`,
	"head.php": `<?php http_response_code(418); header("X-Name: value"); header("X-Two: 1"); header("X-Two: 2", false);
		setcookie("a", "1"); setcookie("b", "2"); echo "tea";`,
	"redirect.php": `<?php header("Location: /hello.php?name=there");`,
	"die.php":      `<?php echo "half"; exit(3);`,
	"fatal.php":    `<?php echo "before"; missing_function();`,
	"early.php":    `<?php echo str_repeat("x", 10000); header("X-Late: 1"); echo "end";`,
	"crash.php":    `<?php posix_kill(getmypid(), 9);`,
	"loop.php":     `<?php while (true) {}`,
	"big.php":      `<?php for ($i = 0; $i < (int)$_GET["kib"]; $i++) echo str_repeat("0123456789abcdef", 64);`,
	"length.php":   `<?php header("Content-Length: 5"); echo "hello"; flush(); file_put_contents("worked", "on");`,
	"flush.php":    `<?php header("X-Accel-Buffering: no"); echo "first\n"; while (ob_get_level()) ob_end_flush(); flush(); while (!file_exists("second")) usleep(2000); echo "second\n";`,
	"left.php": `<?php ignore_user_abort(true); file_put_contents("began", "1");
		while (!connection_aborted()) { echo str_repeat("x", 65536); flush(); } file_put_contents("left", "1");`,
	"log.php": `<?php error_log("noted by a script"); trigger_error("a warning", E_USER_WARNING); echo "logged";`,
	"ini.php": `<?php echo ini_get("memory_limit"), "|", ini_get("user_agent");`,
	"cache.php": `<?php $s = function_exists("opcache_get_status") ? opcache_get_status(true) : false;
		echo $s ? "cached " . implode(" ", array_map("basename", array_keys($s["scripts"]))) : "no cache";`,
	".user.ini":         "user_agent = from-user-ini\n",
	".env":              "SECRET=1\n",
	".htaccess":         "SECRET\n",
	".git/config":       "SECRET\n",
	"lib.inc":           "<?php SECRET;",
	"view.phtml":        "<?php SECRET;",
	"hello.php~":        "<?php SECRET;",
	"hello.php.bak":     "<?php SECRET;",
	"composer.json":     `{"name": "SECRET"}`,
	"vendor/x.php":      `<?php echo "SECRET";`,
	"private/.htaccess": "Require all denied\n",
	"private/a.txt":     "SECRET",
	"private/a.php":     `<?php echo "SECRET";`,
	"upload.jpg":        `<?php echo "SECRET EXECUTED";`,
	"style.css":         "body {}",
	"admin/index.php":   `<?php echo "admin ", $_SERVER["SCRIPT_NAME"];`,
	"docs/index.html":   "<p>docs</p>",
}

// servePHP starts an application with each of the two servers of PHP.
func servePHP(t *testing.T, test func(t *testing.T, s *server), args ...string) {
	t.Helper()

	fpm := "php-fpm"
	if found, _ := filepath.Glob("/usr/sbin/php-fpm*"); len(found) > 0 {
		fpm = found[0]
	}

	for server, program := range map[string]string{"cgi": "php-cgi", "fpm": fpm} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			interpreters.Find(t, "php", program)

			w := newWorkshop(t)
			for name, text := range phpPages {
				w.write(t, name, text)
			}

			test(t, w.start(t, append([]string{
				"--environment", "production", "--php-server", server, "--php-ini", "memory_limit=77M",
				"--php-ini", "upload_max_filesize=64M", "--php-ini", "post_max_size=64M", "--php-ini", "log_errors=1",
				"--php-ini", "display_errors=0", "--php-ini", "user_ini.cache_ttl=1",
			}, args...)...))
		})
	}
}

func TestPHP(t *testing.T) {
	t.Parallel()
	servePHP(t, func(t *testing.T, s *server) {
		s.get(t, "/hello.php?name=you", http.StatusOK, "hello you  /hello.php")
		s.get(t, "/hello.php/a/b", http.StatusOK, "hello  /a/b /hello.php/a/b")
		s.get(t, "/", http.StatusOK, "front / ")
		s.get(t, "/blog/post?x=1", http.StatusOK, "front /blog/post?x=1 ")
		s.get(t, "/admin/", http.StatusOK, "admin /admin/index.php")
		s.get(t, "/admin?a", http.StatusMovedPermanently, "").
			requireRedirect(t, http.StatusMovedPermanently, "/admin/?a")
		s.get(t, "/style.css", http.StatusOK, "body {}")
		s.get(t, "/docs/", http.StatusOK, "<p>docs</p>")
		s.get(t, "/ini.php", http.StatusOK, "77M|from-user-ini")

		head := s.get(t, "/head.php", http.StatusTeapot, "tea")
		require.Equal(t, "value", head.Header.Get("X-Name"))
		require.Equal(t, []string{"1", "2"}, head.Header.Values("X-Two"))
		require.Len(t, head.Cookies(), 2)
		require.Equal(t, "3", head.Header.Get("Content-Length"), "the whole response is there at once")
		s.get(t, "/redirect.php", http.StatusFound, "").requireRedirect(t, http.StatusFound, "/hello.php?name=there")
		require.Empty(t, s.ask(t, http.MethodHead, "/hello.php", nil).body)

		s.post(t, "/form.php", "name", "a & b").require(t, http.StatusOK, "a & b|application/x-www-form-urlencoded|12")
		s.upload(t, "/upload.php", "file", "x.bin").require(t, http.StatusOK, fmt.Sprintf("0|%d|", uploadSize))

		const large = 20 << 20
		s.ask(t, http.MethodPost, "/input.php", strings.NewReader(strings.Repeat("x", large))).require(t, http.StatusOK,
			strconv.Itoa(large))
		s.ask(t, http.MethodPut, "/input.php", io.LimitReader(zeros{}, 100_000)).require(t, http.StatusOK, "100000")

		for range 3 {
			s.ask(t, http.MethodPost, "/ignore.php", strings.NewReader(strings.Repeat("x", 100_000))).require(t,
				http.StatusOK, "ignored")
		}

		require.Len(t, s.get(t, "/big.php?kib=64", http.StatusOK, "").body, 64<<10)
		require.Len(t, s.get(t, "/big.php?kib=51200", http.StatusOK, "").body, 50<<20)
		s.get(t, "/length.php", http.StatusOK, "hello")
		require.NoError(t, awaited.Within(deadline, func() error {
			_, err := os.Stat(filepath.Join(s.dir, "worked"))
			return err
		}))

		s.get(t, "/die.php", http.StatusOK, "half")
		require.NotContains(t, s.get(t, "/fatal.php", http.StatusInternalServerError, "").body, "missing_function")
		s.get(t, "/early.php", http.StatusOK, "xend")
		s.get(t, "/log.php", http.StatusOK, "logged")
		s.Await(t, "noted by a script", 1)
		s.Await(t, "a warning", 1)
		s.Await(t, "missing_function", 1)
	})
}

// zeros is a body of unknown length.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, strings.Repeat("0", len(p))), nil }

func TestPHPSourcesAreNeitherSentNorExecutedWhereTheyMustNot(t *testing.T) {
	t.Parallel()
	servePHP(t, func(t *testing.T, s *server) {
		for _, target := range []string{
			"/upload.jpg/x.php", "/upload.jpg/hello.php", "/upload.jpg%2fx.php", "/.env", "/.htaccess", "/.user.ini",
			"/.git/config", "/lib.inc", "/view.phtml", "/hello.php~", "/hello.php.bak", "/composer.json", "/vendor/x.php",
			"//vendor/x.php", "/%76endor/x.php", "/docs/../vendor/x.php", "/private/a.txt", "/private/a.php", "/private/",
			"/private/../private/a.txt", "/hello.php%00.txt", "/hello%2ephp~", "/HELLO.PHP", "/style.css/.php",
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				a := s.ask(t, method, target, nil)
				require.NotContains(t, a.body, "SECRET", target)
				require.NotContains(t, a.body, "<?php", target)
			}
		}

		require.Contains(t, s.ask(t, http.MethodGet, "/upload.jpg", nil).body, "SECRET", "it is no script, and public")
		s.get(t, "/private/a.php", http.StatusNotFound, "")
	})
}

func TestPHPWithoutAFrontController(t *testing.T) {
	t.Parallel()
	servePHP(t, func(t *testing.T, s *server) {
		s.get(t, "/", http.StatusOK, "front /")
		s.get(t, "/hello.php", http.StatusOK, "hello")
		s.get(t, "/missing", http.StatusNotFound, "")
		s.get(t, "/missing.php", http.StatusNotFound, "")
		s.get(t, "/upload.jpg/x.php", http.StatusNotFound, "")
	}, "--front-controller=false")
}

func TestPHPThatCrashesOrHangs(t *testing.T) {
	t.Parallel()
	servePHP(t, func(t *testing.T, s *server) {
		// The second time, the request comes by a connection that was used before, so that it is repeated once.
		for range 2 {
			s.get(t, "/crash.php", http.StatusBadGateway, "")
			s.serves(t)
		}

		for range 2 {
			s.get(t, "/loop.php", http.StatusGatewayTimeout, "")
			s.serves(t)
		}
	}, "--max-request-time", "1", "--max-pool-size", "1")
}

func TestPHPStreamsAndSeesClientsLeave(t *testing.T) {
	t.Parallel()
	servePHP(t, func(t *testing.T, s *server) {
		s.requireStream(t, "/flush.php", "first", "second")

		resp, err := s.Get(s.url + "/left.php")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.NoError(t, awaited.Within(deadline, func() error {
			_, err := os.Stat(filepath.Join(s.dir, "left"))
			return err
		}))
		s.get(t, "/hello.php", http.StatusOK, "hello")
	}, "--max-pool-size", "1")
}

func TestPHPServesSeveralRequestsAtOnceByChildren(t *testing.T) {
	t.Parallel()
	servePHP(t, func(t *testing.T, s *server) {
		require.Len(t, s.pids(t), 1)
		s.get(t, "/", http.StatusOK, "front")
		s.requireStatic(t, "/style.css", "text/css", "body {}")
		s.requireStream(t, "/flush.php", "first", "second")
		s.lacks(gotSocket, "PHP")

		var waiting sync.WaitGroup
		for range 2 {
			waiting.Go(func() { s.get(t, "/flush.php", http.StatusOK, "second") })
		}

		// Two of the three children wait, and the third serves, with what the others have compiled.
		s.get(t, "/hello.php", http.StatusOK, "hello")
		s.post(t, "/form.php", "name", "a & b").require(t, http.StatusOK, "a & b|")

		for range 3 {
			if cache := s.get(t, "/cache.php", http.StatusOK, "").body; cache != "no cache" {
				require.Contains(t, cache, "flush.php")
				require.Contains(t, cache, "hello.php")
			}
		}

		s.write(t, "second", "")
		waiting.Wait()
		require.Len(t, s.pids(t), 1)

		s.restartUnderLoad(t, "/hello.php", "hello")
	}, "--thread-count", "3", "--max-pool-size", "2", "--php-ini", "opcache.enable=1",
		"--php-ini", "opcache.file_update_protection=0")
}

// serves waits until a process serves in the place of one that has died.
func (s *server) serves(t testing.TB) {
	t.Helper()
	require.NoError(t, awaited.Within(deadline, func() error {
		if a := s.ask(t, http.MethodGet, "/hello.php", nil); a.StatusCode != http.StatusOK {
			return errors.New(a.Status)
		}

		return nil
	}))
}

// laravelIndex is what the front controllers of frameworks have in common.
const laravelIndex = `<?php
$path = parse_url($_SERVER["REQUEST_URI"], PHP_URL_PATH);
$base = dirname($_SERVER["SCRIPT_NAME"]);
require __DIR__ . "/../app/routes.php";
route($path);
`

const laravelRoutes = `<?php
function route($path) {
    if ($path == "/stream") {
        header("X-Accel-Buffering: no");
        echo "first\n";
        while (ob_get_level()) ob_end_flush();
        flush();
        while (!file_exists(__DIR__ . "/../second")) usleep(2000);
        echo "second\n";
    } else {
        echo "route $path ", $_SERVER["DOCUMENT_ROOT"], " ", $_POST["name"] ?? "";
    }
}
`

func TestPHPFrontControllerInPublic(t *testing.T) {
	t.Parallel()
	interpreters.Find(t, "php", "php-cgi")

	w := newWorkshop(t)
	w.write(t, "composer.json", `{"require": {"laravel/framework": "^11.0"}}`)
	w.write(t, "public/index.php", laravelIndex)
	w.write(t, "public/app.css", "p {}")
	w.write(t, "app/routes.php", laravelRoutes)
	w.write(t, ".env", "SECRET")

	out, err := w.passenger(t, "detect")
	require.NoError(t, err, out)
	require.Contains(t, out, "Laravel")
	require.Contains(t, out, "public/index.php")

	s := w.start(t)
	root, err := filepath.EvalSymlinks(w.dir)
	require.NoError(t, err)
	s.get(t, "/users/1", http.StatusOK, "route /users/1 "+filepath.Join(root, "public"))
	shown := "route /users " + filepath.Join(root, "public") + " a & b"
	s.post(t, "/users", "name", "a & b").require(t, http.StatusOK, shown)
	s.requireStatic(t, "/app.css", "text/css", "p {}")
	s.requireStream(t, "/stream", "first", "second")
	s.lacks(gotSocket, "PHP")
	s.get(t, "/../.env", http.StatusOK, "route")
	s.get(t, "/app/routes.php", http.StatusOK, "route /app/routes.php")
	s.restartUnderLoad(t, "/users/1", "route /users/1")
}

func TestPHPServerThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()

	w := newWorkshop(t)
	w.write(t, "index.php", "<?php")
	out, err := w.passenger(t, "start", "--address", "127.0.0.1", "--port", "0", "--php-server", "php-cgi0.1")
	require.Error(t, err, out)
	require.Contains(t, out, "the PHP server php-cgi0.1 was not found")
	require.Contains(t, out, "apt install php-cgi")
	out, err = w.passenger(t, "start", "--address", "127.0.0.1", "--port", "0", "--php-ini", "memory_limit")
	require.Error(t, err, out)
	require.Contains(t, out, `"memory_limit" is not NAME=VALUE`)
}
