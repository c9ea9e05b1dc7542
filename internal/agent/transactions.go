package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ustrouter"
	"github.com/gopassenger/passenger/internal/watchdog"
)

// Transactions say where records of requests, spawns and processes go. In the
// zero value there are none.
type Transactions struct {
	// TransactionLog is a file that gets a line of JSON for each.
	TransactionLog string
	// OTLPEndpoint is the URL of an OpenTelemetry collector.
	OTLPEndpoint string
	// OTLPHeaders are for the collector, and may be secret: only the router gets them.
	OTLPHeaders map[string]string `json:"-"`
	// TransactionSampleRate is the share of the traces begun here that the collector gets.
	TransactionSampleRate float64
	// ServiceName and ResourceAttributes are what the collector knows this server by.
	ServiceName        string
	ResourceAttributes map[string]string
}

const (
	routerName = "ust_router"
	// RouterCommand is the command of this program that runs a router of
	// transactions, by RunRouter.
	RouterCommand = "ust-router"
	// flushTime is how long what is left may take at the end.
	flushTime            = 2 * time.Second
	transactionLogOption = "--transaction-log"
	// These variables are OpenTelemetry's. All but the service's name have NAME=VALUE, separated by commas.
	otlpHeadersVariable       = "OTEL_EXPORTER_OTLP_HEADERS"
	otlpTracesHeadersVariable = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
	serviceNameVariable       = "OTEL_SERVICE_NAME"
	resourceVariable          = "OTEL_RESOURCE_ATTRIBUTES"
)

// router is the configuration for a socket.
func (c *Transactions) router(socket string) ustrouter.Config {
	cfg := ustrouter.Config{
		File:         c.TransactionLog,
		OTLPEndpoint: c.OTLPEndpoint,
		OTLPHeaders:  ustrouter.Headers(c.OTLPHeaders),
		SampleRate:   c.TransactionSampleRate,

		ServiceName:        c.ServiceName,
		ResourceAttributes: c.ResourceAttributes,
	}
	if cfg.Enabled() {
		cfg.Socket = socket
	}

	return cfg
}

func (c *Transactions) recorded() bool {
	cfg := c.router("")
	return cfg.Enabled()
}

// validate leaves the socket out, which is ours to choose.
func (c *Transactions) validate() error {
	// Any valid path will do, as the real one is not made yet.
	cfg := c.router("/s")
	return cfg.Validate()
}

// ReadEnvironment takes what OpenTelemetry has environment variables for. The collector's headers come only from there,
// where others do not see secrets.
func (c *Transactions) ReadEnvironment(getenv func(string) string) error {
	if c.OTLPEndpoint == "" {
		return nil
	}

	// What is for traces counts more than what is for all.
	var err error
	for _, name := range []string{otlpHeadersVariable, otlpTracesHeadersVariable} {
		if c.OTLPHeaders, err = addPairs(c.OTLPHeaders, name, getenv(name)); err != nil {
			return err
		}
	}

	c.ServiceName = getenv(serviceNameVariable)
	c.ResourceAttributes, err = addPairs(nil, resourceVariable, getenv(resourceVariable))

	return err
}

// addPairs adds pairs as name=value,name=value whose values may have escapes, as in W3C's Baggage.
func addPairs(pairs map[string]string, variable, text string) (map[string]string, error) {
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}

		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)

		plain, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || name == "" || err != nil {
			// The value may be a secret.
			return nil, fmt.Errorf("the environment variable %s is not made of NAME=VALUE, separated by commas: "+
				"correct it, and write commas and percent signs in values as %%2C and %%25", variable)
		}

		if pairs == nil {
			pairs = map[string]string{}
		}

		pairs[name] = plain
	}

	return pairs, nil
}

// routerConfig is what the watchdog hands to the router.
type routerConfig struct {
	Transactions Transactions
	// Headers are those of Transactions.
	Headers  map[string]string
	Socket   string
	LogFile  string
	LogLevel int
	Logs     Logs
}

func (d *runtimeDir) routerConfig(cfg *Config) *routerConfig {
	return &routerConfig{
		Transactions: cfg.Transactions,
		Headers:      cfg.OTLPHeaders,
		Socket:       d.dir.Socket(routerName),
		LogFile:      cfg.LogFile,
		LogLevel:     cfg.LogLevel,
		Logs:         cfg.Logs,
	}
}

// routerAgent is the agent that forwards transactions. Requests do not depend on it.
func (i *Instance) routerAgent() watchdog.Agent {
	return watchdog.Agent{
		Name:    routerName,
		Command: func() *exec.Cmd { return i.command(nil, RouterCommand) },
		Config:  i.runtime.routerConfig(&i.cfg),
		Files:   i.runtime.routerFiles(),
		// The server does without transactions, however often the router fails.
		MaxFailedStarts: -1,
		Start:           i.cfg.routerLimits().Start,
	}
}

func (d *runtimeDir) routerFiles() map[string]*os.File {
	return map[string]*os.File{routerName: d.router, lockFile: d.dir.LockFile()}
}

// RunRouter is a router's whole life. Its error was reported to the watchdog.
func RunRouter(ctx context.Context, parent *watchdog.Parent, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &router{parent: parent}
	// There is no place where an error could be logged.
	defer func() { _ = r.logFile.close() }()
	ended, err := r.start(ctx)
	if err != nil {
		return errors.Join(err, parent.Fail(err, nil))
	}

	if err := parent.Ready(nil); err != nil {
		r.log.Error(err, "the watchdog is gone")
	}

	err = r.serve(signals, cancel, ended)

	// ctx has ended, and what was taken is still to be forwarded.
	flush, stop := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer stop()
	if err := r.sinks.Close(flush); err != nil {
		// Nothing else fails by that.
		r.log.Error(err, "the last transactions are lost")
	}

	return err
}

type router struct {
	parent  *watchdog.Parent
	logFile *logFile
	log     logr.Logger
	sinks   *ustrouter.Sinks
}

// start begins to serve; ended gets what came of it.
func (r *router) start(ctx context.Context) (ended <-chan error, err error) {
	var received routerConfig
	if err := json.Unmarshal(r.parent.Config, &received); err != nil {
		return nil, fmt.Errorf("cannot read what the watchdog says: %w", err)
	}

	// They are left out of the JSON of the configuration, which a core gets as well.
	received.Transactions.OTLPHeaders = received.Headers
	if r.logFile, err = openLog(received.LogFile, received.Logs.format(received.LogFile)); err != nil {
		return nil, err
	}

	r.log = newLogger(r.logFile, newLogLevel(received.LogLevel), r.logFile.format)
	cfg := received.Transactions.router(received.Socket)
	l, err := listenOn(r.parent.Files[routerName])
	if err != nil {
		return nil, err
	}

	if r.sinks, err = ustrouter.Open(cfg, r.log); err != nil { //nolint:contextcheck // they end by Close
		err = withOption(err, transactionLogOption)
		return nil, errors.Join(err, l.Close())
	}

	served := make(chan error, 1)
	go func() { served <- ustrouter.NewRouter(cfg, r.sinks, r.log).Serve(ctx, l) }()

	return served, nil
}

// serve waits for the end. A core whose watchdog has died may have something to
// tell until it ends itself.
func (r *router) serve(signals <-chan os.Signal, cancel func(), ended <-chan error) error {
	commands := r.parent.Commands()

	for {
		select {
		case command, alive := <-commands:
			switch {
			case !alive:
				commands = nil
				defer time.AfterFunc(orphanTime, cancel).Stop()
			case command == reopenCommand:
				// An error was logged.
				_ = r.reopen()
			case command == watchdog.Shutdown || command == watchdog.Abort:
				cancel()
			}
		case <-signals:
			cancel()
		case err := <-ended:
			return err
		}
	}
}

// reopen opens the router's files again by their names: that of transactions, and the log.
func (r *router) reopen() error {
	err := withOption(r.sinks.Reopen(), transactionLogOption)
	if r.logFile.path != "" {
		err = errors.Join(err, withOption(r.logFile.reopen(), logOption))
	}

	if err != nil {
		r.log.Error(err, "cannot open the files of the router of transactions again")
	}

	return err
}
