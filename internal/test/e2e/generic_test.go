package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/spawner"
)

const javaServer = `
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Server {
    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", exchange -> {
            byte[] body = "hello from java".getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
`

// TestProgramsThatKnowNothingOfUs: servers of other languages, which serve on
// the port that they are given.
func TestProgramsThatKnowNothingOfUs(t *testing.T) {
	for _, program := range []struct{ language, executable, file, text, command, want string }{
		{
			"php", "php", "index.php", `<?php echo "hello from php to " . $_SERVER["REQUEST_URI"];`,
			"php -S 127.0.0.1:$PORT index.php", "hello from php to /a?b=c",
		},
		{
			"python", "python3", "a", "hello from a file", "python3 -m http.server --bind 127.0.0.1 $PORT",
			"hello from a file",
		},
		{"node", "node", "main.js", `require("http").createServer((q, r) => r.end("hello from node to " + q.url)).listen(process.env.PORT, "127.0.0.1")`, "node main.js", "hello from node to /a?b=c"},
		{"java", "java", "Server.java", javaServer, "java Server.java", "hello from java"},
	} {
		t.Run(program.language, func(t *testing.T) {
			interpreters.Find(t, program.language, program.executable)
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, program.file), []byte(program.text), 0o600))

			s := start(t, &launch{dir: dir, args: []string{"--start-command", program.command}})
			for range 3 {
				a := s.client(t).get(t, "/a?b=c")
				require.Equal(t, http.StatusOK, a.StatusCode, a.body)
				require.Equal(t, program.want, a.body)
			}
		})
	}
}

// TestDirectAccess: Inspect tells how to ask one process, and only who knows
// its password gets a response.
func TestDirectAccess(t *testing.T) {
	ruby := interpreters.Find(t, "ruby", "ruby")
	dir := t.TempDir()
	app := "run lambda { |env| [200, {}, [Process.pid.to_s + env['HTTP_X_PASSENGER_CONNECT_PASSWORD'].to_s]] }\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.ru"), []byte(app), 0o600))
	factory, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	require.NoError(t, err)
	pool, err := passenger.New(passenger.Config{Spawner: factory})
	require.NoError(t, err)
	defer func() {
		require.NoError(t, pool.Close())
		require.NoError(t, factory.Close())
	}()
	session, err := pool.Get(t.Context(), &passenger.Options{App: spawner.App{Root: dir, Ruby: ruby}})
	require.NoError(t, err)
	session.Close(passenger.KeepAlive)
	process := pool.Inspect().Groups[0].Processes[0]

	ask := func(password string) *reply {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+process.HTTPAddress+"/",
			http.NoBody)
		require.NoError(t, err)
		if password != "" {
			r.Header.Set("X-Passenger-Connect-Password", password)
		}

		a, err := (&client{Client: http.DefaultClient}).do(r)
		require.NoError(t, err)

		return a
	}
	require.Equal(t, http.StatusForbidden, ask("").StatusCode)
	require.Equal(t, http.StatusForbidden, ask(process.Password+"x").StatusCode)
	a := ask(process.Password)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Regexp(t, `^\d+$`, a.body, "the application does not see the password")
}
