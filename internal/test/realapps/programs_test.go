package realapps_test

import (
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const goProgram = `package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	http.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "Hello from Go") })
	http.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		file, _, err := r.FormFile("photo")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		n, err := io.Copy(io.Discard, file)
		fmt.Fprintln(w, n, "bytes", err)
	})
	http.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		http.NewResponseController(w).Flush()
		for _, err := os.Stat("second"); err != nil; _, err = os.Stat("second") {
			time.Sleep(10 * time.Millisecond)
		}
		fmt.Fprintln(w, "second")
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
`

func goApp(t testing.TB) *workshop {
	t.Helper()
	path := interpreters.Find(t, "go", "go")

	// That of the tests has the standard library already.
	cache, err := exec.CommandContext(t.Context(), path, "env", "GOCACHE").Output()
	require.NoError(t, err)
	w := newWorkshop(t, "GOFLAGS=-mod=mod", "GOCACHE="+strings.TrimSpace(string(cache)))
	w.write(t, "go.mod", "module example.com/shop\n\ngo 1.22\n")
	w.write(t, "main.go", goProgram)

	return w
}

func TestGo(t *testing.T) {
	t.Parallel()
	w := goApp(t)
	w.write(t, "public/style.css", "h1 { color: green }\n")
	w.start(t, "--environment", "production").requireProgram(t, "Hello from Go", "net/http")
}

const javaProgram = `import com.sun.net.httpserver.HttpServer;
import java.io.File;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

public class App {
    public static void main(String[] args) throws Exception {
        String address = "", port = "";
        for (String arg : args) {
            if (arg.startsWith("--server.address=")) address = arg.substring(17);
            if (arg.startsWith("--server.port=")) port = arg.substring(14);
        }
        HttpServer server = HttpServer.create(new InetSocketAddress(address, Integer.parseInt(port)), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> {
            byte[] body = "Hello from Java\n".getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.createContext("/upload", exchange -> {
            byte[] body = (exchange.getRequestBody().readAllBytes().length + " bytes\n").getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.createContext("/stream", exchange -> {
            exchange.sendResponseHeaders(200, 0);
            OutputStream out = exchange.getResponseBody();
            out.write("first\n".getBytes());
            out.flush();
            try {
                while (!new File("second").exists()) Thread.sleep(10);
            } catch (InterruptedException e) {
                return;
            }
            out.write("second\n".getBytes());
            exchange.close();
        });
        server.start();
    }
}
`

// javaApp is a program that takes the options of one of Spring Boot.
func javaApp(t testing.TB) *workshop {
	t.Helper()
	interpreters.Find(t, "java", "javac")
	w := newWorkshop(t)
	w.write(t, "App.java", javaProgram)
	w.run(t, "javac", "-d", "classes", "App.java")
	w.write(t, "build/.keep", "")
	w.run(t, "jar", "--create", "--file", "build/app.jar", "--main-class", "App", "-C", "classes", ".")

	return w
}

func TestJava(t *testing.T) {
	t.Parallel()
	slow(t)
	w := javaApp(t)
	w.write(t, "public/style.css", "h1 { color: green }\n")
	w.start(t, "--environment", "production", "--concurrency", "0", "--start-command",
		"exec java -jar build/app.jar --server.address=127.0.0.1 --server.port=$PORT").
		requireProgram(t, "Hello from Java", "com.sun.net.httpserver")
}

// requireProgram uses a program that serves HTTP by a library, which has no WebSockets.
func (s *server) requireProgram(t testing.TB, hello, library string) {
	t.Helper()
	s.get(t, "/", http.StatusOK, hello)
	uploaded := s.upload(t, "/upload", "photo", "photo.png")
	uploaded.require(t, http.StatusOK, " bytes")
	n, err := strconv.Atoi(strings.Fields(uploaded.body)[0])
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, uploadSize)

	s.requireStatic(t, "/style.css", "text/css", "color: green")
	s.requireStream(t, "/stream", "first", "second")
	s.lacks(gotSocket, library)
	s.restartUnderLoad(t, "/", hello)
}
