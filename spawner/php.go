package spawner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/fcgiproto"
	"github.com/gopassenger/passenger/loaderproto"
)

const phpType = "php"

// What App.PHPServer may be, beside the name or path of a program.
const (
	PHPServerAuto = "auto"
	PHPServerFPM  = "fpm"
	PHPServerCGI  = "cgi"
)

// phpStartupFile returns the front controller; empty means that there is none.
func phpStartupFile(app *App) string {
	own := *app
	// Its owner decides the user, and its directory is the document root, whatever paths it serves.
	own.NoFrontController = false

	s := FindScripts(&own)
	if s.FrontController == "" {
		return ""
	}

	return filepath.Join(s.Directory(), s.FrontController)
}

// fpmDirs are looked into after the application's PATH, which often lacks the directories of servers.
var fpmDirs = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// phpConfigSuffix is what the name of php-fpm's configuration has behind that of the socket.
const phpConfigSuffix = ".conf"

// php finds the server of PHP's, and how it is started.
func (r *resolver) php(c *command) error {
	if c.startupFile != "" {
		if err := checkStartupFile(c.startupFile); err != nil {
			return err
		}
	}

	server, isFPM, err := r.phpServer()
	if err != nil {
		return err
	}

	c.generic = true
	c.argv = []string{server}
	if isFPM {
		// Its log is stderr, whatever that is. A child's errors go there anyway, and by FastCGI a second time.
		c.argv = append(c.argv, "--nodaemonize", "--force-stderr", "--fpm-config", "${SOCKET}"+phpConfigSuffix,
			"-d", "fastcgi.logging=0")
	} else {
		c.argv = append(c.argv, "-b", "$SOCKET")
		// By default, php-cgi ends after 500 requests.
		c.env = map[string]string{"PHP_FCGI_CHILDREN": "0", "PHP_FCGI_MAX_REQUESTS": "0"}
		if n := r.app.ThreadCount; n > 1 {
			c.env["PHP_FCGI_CHILDREN"] = strconv.Itoa(n)
		}
	}

	for _, setting := range r.app.PHPIni {
		c.argv = append(c.argv, "-d", setting)
	}

	return nil
}

// phpServer returns the program, and whether it is php-fpm. They start in the same time. php-cgi is one process, and
// php-fpm one more than it has children, which share its cache of compiled scripts and are replaced when they crash.
func (r *resolver) phpServer() (server string, isFPM bool, err error) {
	named := cmp.Or(r.app.PHPServer, PHPServerAuto)

	order := []string{"php-cgi", "php-fpm"}
	switch named {
	case PHPServerAuto:
		if r.app.ThreadCount > 1 {
			slices.Reverse(order)
		}
	case PHPServerFPM:
		order = order[1:]
	case PHPServerCGI:
		order = order[:1]
	default:
		server, err = r.withPath().lookUp(named, phpMissing)
		return server, strings.Contains(filepath.Base(named), PHPServerFPM), err
	}

	for _, name := range order {
		if server := r.findPHP(name); server != "" {
			return server, name == "php-fpm", nil
		}
	}

	return "", false, &fault{
		problem: phpMissing,
		subject: strings.Join(order, " or "),
		err:     &fs.PathError{Op: "look up", Path: order[0], Err: fs.ErrNotExist},
	}
}

// withPath returns a resolver that looks into the directories of servers, too, and leaves nothing to a login shell.
func (r *resolver) withPath() *resolver {
	wide := *r
	wide.byName = false
	wide.path = strings.Join(append([]string{r.path}, fpmDirs...), string(filepath.ListSeparator))

	return &wide
}

// findPHP returns a program by its name, or else the newest of those with a version behind it, as php-fpm8.3; empty
// means that there is none.
func (r *resolver) findPHP(name string) string {
	wide := r.withPath()
	if server, err := wide.lookUp(name, phpMissing); err == nil {
		return server
	}

	var found []string
	for _, dir := range filepath.SplitList(wide.path) {
		if filepath.IsAbs(dir) {
			more, _ := filepath.Glob(filepath.Join(dir, name+"[0-9]*")) // the pattern is good
			found = append(found, more...)
		}
	}

	found = slices.DeleteFunc(found, func(path string) bool { return checkExecutable(path) != nil })
	if len(found) == 0 {
		return ""
	}

	return slices.MaxFunc(found, func(a, b string) int {
		// By length first: php-fpm8.10 is newer than php-fpm8.9.
		a, b = filepath.Base(a), filepath.Base(b)
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
}

// isPHPSetting reports whether a setting is one that PHP takes by -d: a name and a value.
func isPHPSetting(setting string) bool {
	name, _, ok := strings.Cut(setting, "=")
	return ok && phpSettingName().MatchString(name) && !strings.ContainsAny(setting, "\r\n\x00")
}

var phpSettingName = lazy(`^[A-Za-z_][A-Za-z0-9_.]*$`)

func (a *App) validatePHP() (errs []error) {
	for _, setting := range a.PHPIni {
		if !isPHPSetting(setting) {
			errs = append(errs, fmt.Errorf("the PHP setting %q is not NAME=VALUE, as memory_limit=256M", setting))
		}
	}

	if base := filepath.Base(a.PHPServer); !slices.Contains([]string{
		"", PHPServerAuto, PHPServerFPM, PHPServerCGI,
	}, a.PHPServer) && !strings.Contains(base, PHPServerFPM) && !strings.Contains(base, PHPServerCGI) {
		errs = append(errs, fmt.Errorf("the PHP server %q is neither auto, fpm nor cgi, nor the name or path of a "+
			"program with fpm or cgi in it, as php-fpm8.3", a.PHPServer))
	}

	return errs
}

// phpConcurrency is how many requests the process takes at once.
func (a *App) phpConcurrency() int { return max(a.ThreadCount, 1) }

// preparePHP completes the command once the socket is known.
func (a *attempt) preparePHP() error {
	file := a.socket + phpConfigSuffix
	// Only php-fpm has a configuration.
	if !slices.Contains(a.command.argv, file) {
		return nil
	}

	// php-fpm does not start as root without it.
	if a.identity.uid == 0 {
		a.command.argv = append(a.command.argv, "--allow-to-run-as-root")
	}

	var err error
	if limit := a.app.SlowRequestTime; limit > 0 && a.config.Witness {
		a.slowLog, err = a.sockets.newSlowLog(limit, a.identity)
		a.output.ignore = isSlowLine
	}

	if err == nil {
		err = a.sockets.write(filepath.Base(file), a.fpmConfig(), a.identity)
	}

	if err != nil {
		return &fault{problem: dirUnusable, subject: a.sockets.path, err: err}
	}

	return nil
}

// fpmConfig is the configuration of php-fpm, from PHP 7.3 on: children that stay, the environment of the process, and
// lines as the scripts print them. It opens the error_log, which only root may by default, and does not use it.
func (a *attempt) fpmConfig() string {
	return `[global]
daemonize = no
error_log = /dev/null
log_level = warning
log_limit = 8192
[app]
listen = ` + a.socket + `
listen.mode = 0600
pm = static
pm.max_children = ` + strconv.Itoa(a.app.phpConcurrency()) + `
catch_workers_output = yes
decorate_workers_output = no
clear_env = no
security.limit_extensions = .php
` + a.slowLog.config()
}

// awaitFastCGI waits until the server of PHP serves. It speaks no handshake, and php-fpm closes its stdout.
func (a *attempt) awaitFastCGI(ctx context.Context) (*loaderproto.Ready, io.Reader, error) {
	a.journal.enter(StepServe)

	probing, stop := context.WithDeadline(ctx, a.started.Add(a.app.StartTimeout))
	defer stop()

	err := a.probe(probing)
	switch {
	case ctx.Err() != nil:
		return nil, nil, canceled(ctx)
	case err != nil && !a.child.lives():
		return nil, nil, &loaderproto.Error{Kind: loaderproto.ExitedEarly, Step: loaderproto.AwaitHandshake}
	case err != nil:
		return nil, nil, &fault{problem: notServingSocket, subject: a.socket, err: err}
	}

	a.byPort = true
	a.plan(portSteps)

	return &loaderproto.Ready{Sockets: []loaderproto.Socket{{
		Name:        "main",
		Address:     loaderproto.Address{Network: "unix", Addr: a.socket},
		Protocol:    FastCGIProtocol,
		Concurrency: a.app.phpConcurrency(),
	}}}, a.child.in, nil
}

// probeFastCGI returns nil when a process takes connections and has read what was sent. That the system takes a
// connection, which it does as soon as there is a socket, is not enough.
func (a *attempt) probeFastCGI(ctx context.Context, address loaderproto.Address) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()

	conn, err := dialer(address, a.owner())(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	if _, err := conn.Write(fcgiproto.GetValues()); err != nil {
		return err
	}

	// The end of the connection is a response, too.
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}

	return nil
}

// scripts are those of the application, whether its type was said or detected.
func (c *command) scripts(app *App) Scripts {
	own := *app
	if own.StartupFile == "" && c.startupFile != "" {
		own.StartupFile = c.startupFile
	}

	return FindScripts(&own)
}
