// Package testapp lets a test binary be the application that its tests start:
// TestMain calls [Main], an application is started with [Command] and [Env],
// and what it does is one of the behaviours in serve.go and fail.go.
package testapp

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/loaderproto"
)

const (
	behaviourVar = "PASSENGER_TESTAPP"
	paramPrefix  = "PASSENGER_TESTAPP_"
	markerVar    = paramPrefix + "MARKER"
)

// Main plays the behaviour that the environment names and exits. It returns
// when there is none: this process runs tests.
func Main() {
	name := os.Getenv(behaviourVar)
	if name == "" {
		return
	}

	play, ok := behaviours()[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "testapp: no behaviour %q\n", name)
		os.Exit(70)
	}

	awaitGate()
	play(&player{Loader: loaderproto.NewLoader(os.Stdin, os.Stdout)})
	os.Exit(0)
}

// Command returns the start command of an application: the test binary.
func Command() []string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}

	return []string{path}
}

// Env returns the environment that makes [Command] play a behaviour, with
// parameters as name=value. It panics if there is no such behaviour.
func Env(behaviour string, params ...string) map[string]string {
	if _, ok := behaviours()[behaviour]; !ok {
		panic("testapp: no behaviour " + strconv.Quote(behaviour))
	}

	marker, value, _ := strings.Cut(Marker(), "=")

	env := map[string]string{
		behaviourVar: behaviour,
		marker:       value,
		// The race detector sleeps for a second before a program ends.
		"GORACE": "atexit_sleep_ms=0",
	}
	for _, p := range params {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			panic("testapp: parameter " + strconv.Quote(p) + " has no value")
		}

		env[paramPrefix+strings.ToUpper(name)] = value
	}

	return env
}

// Marker is what the applications of this process and whatever they start have
// in their environment, as NAME=value.
func Marker() string { return markerVar + "=" + strconv.Itoa(os.Getpid()) }

// player is the running application.
type player struct {
	*loaderproto.Loader
	opts loaderproto.Options
}

// param returns a parameter, or otherwise if it was not given.
func (*player) param(name, otherwise string) string {
	if v, ok := os.LookupEnv(paramPrefix + strings.ToUpper(name)); ok {
		return v
	}

	return otherwise
}

func (p *player) number(name string, otherwise int) int {
	n, err := strconv.Atoi(p.param(name, strconv.Itoa(otherwise)))
	check(err)
	return n
}

// handshake gets the request.
func (p *player) handshake() {
	opts, err := p.Handshake()
	check(err)
	p.opts = opts
}

// print writes to stdout as it is.
func print(text string) {
	_, err := os.Stdout.WriteString(text)
	check(err)
}

// hang does nothing until the process is killed.
func hang() { select {} }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "testapp:", err)
		os.Exit(70)
	}
}
