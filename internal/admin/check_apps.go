package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/inherit"
)

// language is a kind of application.
type language struct {
	name     string
	commands []string
	version  []string
	// needs is a program that succeeds when a library is there.
	needs, needsName, needsAdvice string
	// file and text are an application that says hello.
	file, text string
	// option names the interpreter for passenger start, or command starts the
	// application.
	option  string
	command func(interpreter string) string
}

const greeting = "hello from passenger"

var languages = []language{
	{
		name: "Ruby", commands: []string{"ruby"}, version: []string{"-e", "puts RUBY_VERSION"},
		needs: "require 'rack'; print Rack.release", needsName: "Rack",
		needsAdvice: "gem install rack, unless applications bring it along by Bundler",
		file:        "config.ru", text: "run lambda { |env| [200, { 'content-type' => 'text/plain' }, ['" + greeting +
			"']] }\n", option: "--ruby",
	},
	{
		name: "Python", commands: []string{"python3", "python"},
		version: []string{"-c", "import sys; print(sys.version.split()[0])"},
		file:    "passenger_wsgi.py", option: "--python",
		text: "def application(environ, start_response):\n    start_response('200 OK', [('Content-Type', " +
			"'text/plain')])\n    return [b'" + greeting + "']\n",
	},
	{
		name: "Node.js", commands: []string{"node", "nodejs"}, version: []string{"-p", "process.version"},
		file: "app.js", text: "require('http').createServer((q, r) => r.end('" + greeting + "')).listen(0);\n",
		option: "--nodejs",
	},
	{
		name: "PHP", commands: []string{"php"}, version: []string{"-r", "echo PHP_VERSION;"}, file: "index.php",
		text:    "<?php echo '" + greeting + "';\n",
		command: func(php string) string { return "'" + php + "' -S 127.0.0.1:$PORT index.php" },
	},
}

func (l *language) checks() []check {
	all := []check{{l.name, "interpreter", l.checkInterpreter}}
	if l.needs != "" {
		all = append(all, check{l.name, l.needsName, l.checkNeeds})
		all = append(all, check{l.name, "Bundler", checkBundler})
	}

	return append(all, check{l.name, "application", l.checkApp})
}

// find returns the interpreter, or "".
func (l *language) find() string {
	for _, name := range l.commands {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}

	return ""
}

func (l *language) checkInterpreter(ctx context.Context, _ *Host) Result {
	path := l.find()
	if path == "" {
		return skip("no %s in PATH", strings.Join(l.commands, " nor "))
	}

	version, err := ask(ctx, path, l.version...)
	if err != nil {
		return fail("correct its installation, or remove it from PATH", "%s does not tell its version: %v", path, err)
	}

	return ok("%s, %s", version, path)
}

func (l *language) checkNeeds(ctx context.Context, _ *Host) Result {
	path := l.find()
	if path == "" {
		return skip("no interpreter")
	}

	version, err := ask(ctx, path, "-e", l.needs)
	if err != nil {
		return warn(l.needsAdvice, "%s cannot load it", path)
	}

	return ok("%s", version)
}

func checkBundler(ctx context.Context, _ *Host) Result {
	path, err := exec.LookPath("ruby")
	if err != nil {
		return skip("no interpreter")
	}

	version, err := ask(ctx, path, "-e", "require 'bundler'; print Bundler::VERSION")
	if err != nil {
		return warn("gem install bundler, if applications have a Gemfile", "%s cannot load it", path)
	}

	return ok("%s", version)
}

// ask returns what a command says on one line.
func ask(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out, err := output(command(ctx, name, args...))
	if err != nil {
		return "", err
	}

	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	const maxLength = 80

	return Printable(line[:min(len(line), maxLength)]), nil
}

// checkApp serves an application, by this program and on the loopback interface.
func (l *language) checkApp(ctx context.Context, h *Host) Result {
	path := l.find()
	switch {
	case h.NoApps:
		return skip("not asked for")
	case path == "":
		return skip("no interpreter")
	case l.needs != "":
		if _, err := ask(ctx, path, "-e", l.needs); err != nil {
			return skip("no %s", l.needsName)
		}
	}

	dir, err := os.MkdirTemp("", "psg")
	if err != nil {
		return fail("make the directory for temporary files writable, or name another one with TMPDIR", "%v", err)
	}

	err = l.serve(ctx, h, path, dir)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return fail("start an application by hand, which says more: passenger start DIRECTORY", "%v", err)
	}

	return ok("starts and responds")
}

func (l *language) serve(ctx context.Context, h *Host, interpreter, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, l.file), []byte(l.text), 0o600); err != nil {
		return err
	}

	// Any free port will do, so that no other server is in the way.
	args := []string{
		"start", dir, "--address", "127.0.0.1", "--port", "0", "--instance-registry-dir", h.Registry,
		"--environment", "production",
	}

	args = append(args, unconfigured...)
	if l.command != nil {
		args = append(args, "--start-command", l.command(interpreter))
	} else {
		args = append(args, l.option, interpreter)
	}

	server := exec.CommandContext(ctx, h.Program, args...)
	// Whoever waits for this program waits for no server.
	server.Env = slices.DeleteFunc(inherit.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "PASSENGER_")
	})

	// SIGKILL would leave the application behind.
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	// What people press is for this program, which then ends the server.
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	server.WaitDelay = commandTimeout
	server.Dir = dir
	var trouble tail
	server.Stderr = &trouble
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}

	if err := server.Start(); err != nil {
		return err
	}

	lines := bufio.NewReader(out)
	err = greet(ctx, lines)
	if terr := server.Process.Signal(syscall.SIGTERM); err == nil {
		err = terr
	}

	// Wait closes the pipe, and the server must not wait for a reader until then.
	_, rerr := io.Copy(io.Discard, lines)
	err = errors.Join(err, rerr, server.Wait())
	if err != nil && trouble.String() != "" {
		err = fmt.Errorf("%w\n%s", err, trouble.String())
	}

	return err
}

// unconfigured are options for a server that is to say here where it is, and to have nothing that is another server's,
// whatever the user's own configuration is.
var unconfigured = []string{
	"--log-format", "plain", "--daemonize=false", "--ssl=false", "--ssl-port", "0", "--pid-file", "",
	"--metrics-address", "", "--dashboard=false",
}

// greet asks the server, which tells where it is, for the greeting.
func greet(ctx context.Context, lines *bufio.Reader) error {
	accessible := regexp.MustCompile(`^Accessible via: +(http://\S+)`)

	for {
		line, err := lines.ReadString('\n')
		if found := accessible.FindStringSubmatch(line); found != nil {
			return fetchGreeting(ctx, found[1])
		}

		if err != nil {
			return errors.New("the server did not start")
		}
	}
}

func fetchGreeting(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}

	// No proxy is between, and no connection stays open.
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}

	defer func() { _ = resp.Body.Close() }() // it is read
	const maxBytes = 4096
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes))
	if err != nil {
		return err
	}

	if resp.StatusCode != http.StatusOK || string(body) != greeting {
		return fmt.Errorf("the application responded with status %d", resp.StatusCode)
	}

	return nil
}

// tail keeps the end of what is written.
type tail struct{ b []byte }

const maxTail = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-maxTail):]
	return len(p), nil
}

func (t *tail) String() string { return PrintableText(strings.TrimSpace(string(t.b))) }
