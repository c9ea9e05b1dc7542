package ustrouter

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// maxSocketPath is how long a path of a Unix socket may be, in bytes, on Linux.
const maxSocketPath = 107

// DefaultServiceName is the default of Config.ServiceName.
const DefaultServiceName = "passenger"

// Config says where transactions go. The zero value is off; File and
// OTLPEndpoint, which may both be set, switch it on.
type Config struct {
	// Socket is the path of the Unix socket that the router listens on and
	// observers connect to.
	Socket string
	// File is the path of a file that gets a line of JSON for each transaction.
	File string
	// OTLPEndpoint is the URL of an OpenTelemetry collector that takes OTLP over
	// HTTP as JSON, without the path /v1/traces, such as
	// "http://127.0.0.1:4318". The environment may name a proxy, by HTTP_PROXY,
	// HTTPS_PROXY and NO_PROXY.
	OTLPEndpoint string
	// OTLPHeaders are sent to the collector with each request, for those who
	// want an Authorization. Over http, all on the way can read them.
	OTLPHeaders Headers
	// ServiceName is what the collector knows this server by; empty means
	// DefaultServiceName.
	ServiceName string
	// ResourceAttributes are added to what the collector knows this server by, and
	// count more than what is known besides. ServiceName counts more than
	// service.name here.
	ResourceAttributes map[string]string
	// SampleRate is the share, from 0 to 1, of the traces begun here that are
	// sampled. Those of trusted clients are if theirs are.
	SampleRate float64
	// IncludeQuery passes the queries of requests on, which may hold secrets.
	IncludeQuery bool
	// QueueLength is how many transactions may wait, in each place where they
	// do; zero means DefaultQueueLength.
	QueueLength int
}

// Enabled reports whether there is somewhere to pass transactions to.
func (c *Config) Enabled() bool { return c.File != "" || c.OTLPEndpoint != "" }

// Validate reports every fault of c, joined.
func (c *Config) Validate() error {
	var errs []error

	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case c.Enabled():
		errs = append(errs, validateSocket(c.Socket))
	case c.Socket != "":
		fault("there is the socket %s for transactions but nowhere to pass them on to: set a file, or the URL of a "+
			"collector", c.Socket)
	}

	if c.File != "" && !filepath.IsAbs(c.File) {
		fault("the path %q of the file for transactions is not absolute", c.File)
	}

	if strings.ContainsRune(c.File, 0) {
		fault("the path %q of the file for transactions contains a NUL", c.File)
	}

	if c.OTLPEndpoint != "" {
		errs = append(errs, validateEndpoint(c.OTLPEndpoint))
	} else if len(c.OTLPHeaders) > 0 {
		fault("there are headers for a collector of transactions but no URL of one")
	}

	errs = append(errs, c.OTLPHeaders.validate())
	if c.QueueLength < 0 {
		fault("the number %d of transactions that may wait is negative: use 0 for the default", c.QueueLength)
	}

	return errors.Join(errs...)
}

func validateSocket(path string) error {
	switch {
	case path == "":
		return errors.New("there is no socket for transactions: set the path of one")
	case !filepath.IsAbs(path):
		return fmt.Errorf("the path %q of the socket for transactions is not absolute", path)
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("the path %q of the socket for transactions contains a NUL", path)
	case len(path) > maxSocketPath:
		return fmt.Errorf("the path %q of the socket for transactions has %d bytes, and a Unix socket's may have %d",
			path, len(path), maxSocketPath)
	}

	return nil
}

// validateEndpoint does not repeat a URL that may have a password.
func validateEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return errors.New("the URL of the collector of transactions is not well-formed")
	case u.User != nil:
		return errors.New("the URL of the collector of transactions has a user or password: use the header " +
			"Authorization instead")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the URL of the collector of transactions has the scheme %q: use http or https", u.Scheme)
	case u.Hostname() == "":
		return errors.New("the URL of the collector of transactions names no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("the URL of the collector of transactions has a query or fragment: leave it out, and use " +
			"a header for a key")
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), tracesPath):
		return fmt.Errorf("the URL of the collector of transactions ends with %s, which is added to it: leave it out",
			tracesPath)
	}

	return nil
}

func (c *Config) queueLength() int {
	if c.QueueLength <= 0 {
		return DefaultQueueLength
	}

	return c.QueueLength
}
