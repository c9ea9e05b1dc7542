package handler

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/defaultlog"
	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/proxyheader"
	"github.com/gopassenger/passenger/internal/urlpath"
)

// Defaults of [Config].
const (
	DefaultConnectTimeout    = 10 * time.Second
	DefaultMaxResponseBuffer = 128 << 20
	DefaultClientGrace       = 30 * time.Second
	DefaultMinClientRate     = 240
	// The limits of heads let tickets of Kerberos, tokens of Azure AD and sessions in
	// cookies through.
	DefaultMaxHeaderField  = 32 << 10
	DefaultMaxHeader       = 80 << 10
	DefaultMaxResponseHead = 64 << 10

	DefaultClientStallTimeout = 30 * time.Second
)

// Config says how requests are forwarded. Only Options.App.Root is required. A Handler keeps a copy.
type Config struct {
	// Options name the application. A request outside of their base URI, which is compared segment by segment and
	// without escapes, gets status 404. Behind http.StripPrefix, or another router that shortens paths, there is no
	// base URI; an application that writes links needs one instead, and the path as it is.
	Options passenger.Options
	// ConnectTimeout bounds how long a connection to a process takes. Zero means DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// TrustedProxies are the peers whose X-Forwarded-For, X-Forwarded-Proto (the first element, in any case),
	// X-Request-Id, X-Request-Start, Traceparent and Tracestate are believed and forwarded: REMOTE_ADDR is then the
	// last address of X-Forwarded-For that is not one of theirs. From other peers these fields are removed, with all
	// that applications believe of proxies; see TrustedHeaders. Peers on a Unix socket are always believed, since its
	// permissions say who may connect; they are known by the *net.UnixAddr that http.Server has in a request's context
	// by http.LocalAddrContextKey.
	//
	// A RemoteAddr that middleware has replaced by the client's address, with a port or without one, is that of the
	// peer: it is believed if it is one of these. A RemoteAddr that is no address is not, and REMOTE_ADDR is empty.
	TrustedProxies []netip.Prefix
	// TrustedHeaders are more fields that are forwarded from TrustedProxies, which have to replace what clients send of
	// them: X-Forwarded-Host, X-Forwarded-Port, X-Real-IP, Forwarded, X-Sendfile-Type and others that applications
	// believe. docs/configuration.md has the list. A field that is not listed reaches no application: middleware that
	// wants to set it uses [WithEnv] or passenger.RequestEvent.AppHeader, since what it adds to the request's header
	// looks as if a client had sent it.
	TrustedHeaders []string

	// StreamRequests forwards a request's body as it comes, for applications that follow uploads, and so keeps a
	// process for as long as the client takes. Otherwise a process gets a request when all of it is there.
	StreamRequests bool
	// MaxRequestBody bounds a request's body, in bytes. A larger body gets status 413. Zero, as passenger.Unlimited,
	// means no limit.
	MaxRequestBody int64
	// MaxResponseBuffer bounds what is kept of a response, in bytes, for a client that reads slowly, so that the
	// process is free meanwhile; beyond it, the process has to wait. Zero means DefaultMaxResponseBuffer, a negative
	// value that nothing is kept. Event streams, and responses with "X-Accel-Buffering: no", are never kept.
	MaxResponseBuffer int64
	// DataBufferDir is where what does not fit into memory is kept, in files without a name. Empty means os.TempDir.
	DataBufferDir string
	// Buffers bounds what is kept of all requests and responses together, with the other handlers that share it. Nil
	// means a budget with the defaults of [NewBufferBudget], which all handlers of the program without one share.
	Buffers *BufferBudget
	// ClientGrace and MinClientRate bound how long a client may take to send a body, or to read a response:
	// ClientGrace, and a second for each MinClientRate bytes; then its connection is closed. Zero means
	// DefaultClientGrace and DefaultMinClientRate, a negative value no limit. Bodies that are streamed have no such
	// limit, and where the server has a ReadTimeout or WriteTimeout of its own, that one counts.
	ClientGrace   time.Duration
	MinClientRate int64
	// ClientStallTimeout bounds the time between two reads of a request's body, a streamed one too, and between two
	// writes of a response, at most 32 KiB each, whatever the mean rate allows; what is written at once, up to 128 KiB,
	// has the time of its pieces. After it, a request gets status 408, and a response is cut. Zero means
	// DefaultClientStallTimeout, a negative value no limit.
	ClientStallTimeout time.Duration
	// Limits bound a request's head.
	Limits Limits
	// MaxResponseHead bounds the head of a response, in bytes. Beyond it, the request gets status 502. Zero means
	// DefaultMaxResponseHead.
	MaxResponseHead int

	// MaxQueueShare is the share of the application's queue (see Options.MaxRequestQueueSize) that the requests of one
	// client's connection may have at a time, which matters with HTTP/2. Zero means DefaultMaxQueueShare; 1 and
	// negative values mean all of it.
	MaxQueueShare float64

	// StickySessions are off in the zero value.
	StickySessions StickySessions
	// UnlimitedConcurrencyPaths are prefixes of paths below the base URI, each up to a slash or the end, and compared
	// as that is, whose requests last: WebSockets, event streams. They go to processes of their own, which take any
	// number at once, in a group of their own, with UnlimitedGroupSuffix in its name.
	UnlimitedConcurrencyPaths []string
	// MetricsExclude are prefixes of paths below the base URI, compared as UnlimitedConcurrencyPaths are, whose
	// requests do not count in the durations and responses of [Handler.Figures], such as health checks.
	MetricsExclude []string
	// Sendfile lets the application have files sent.
	Sendfile Sendfile
	// DisableTurbocache switches the cache off that keeps responses for seconds, if they allow it.
	DisableTurbocache bool
	// VaryTurbocacheByCookie is the name of a cookie that cached responses vary by.
	VaryTurbocacheByCookie string

	// ErrorDetails decides whether an error's page shows what is known of it; for a spawn error that is output, paths,
	// commands, environment variables, with what looks secret hidden. See docs/error-pages.md.
	ErrorDetails ErrorDetails
	// ErrorPage is an HTML document for clients that accept HTML, instead of the handler's page without details, for
	// each status from 500. Nil means the handler's page.
	ErrorPage []byte
	// QueueFullStatus, QueueTimeoutStatus and SpawnErrorStatus replace the statuses 503, 504 and 500 of these errors.
	// Zero means that they do not.
	QueueFullStatus, QueueTimeoutStatus, SpawnErrorStatus int
	// RequestID returns the ID that the program has given a request; empty means none. It is for programs whose
	// middleware has one:
	//
	//	RequestID: func(r *http.Request) string { return middleware.GetReqID(r.Context()) }, // chi's
	//
	// or sets the request's field X-Request-Id, which is not believed otherwise, as it looks the same when a client has
	// sent it. Middleware that sets X-Request-Id on the response before, as echo's and gin's do, needs no function. See
	// also [WithRequestID].
	RequestID func(r *http.Request) string
	// HidePoweredBy leaves the field X-Powered-By out.
	HidePoweredBy bool
	// Logger gets what went wrong; see passenger.LogTo. The zero value means slog.Default; passenger.Silent discards
	// it.
	Logger logr.Logger
	// AccessLog gets a line for each request that has ended. The zero value discards it.
	AccessLog logr.Logger
}

// UnlimitedGroupSuffix follows the group's name of the processes for Config.UnlimitedConcurrencyPaths.
const UnlimitedGroupSuffix = " (unlimited concurrency)"

// ErrorDetails decides whether clients see what is known of an error.
type ErrorDetails uint8

// The choices.
const (
	// DetailsInDevelopment shows them if the application's environment is "development".
	DetailsInDevelopment ErrorDetails = iota
	// DetailsAlways shows them in all environments.
	DetailsAlways
	// DetailsNever shows them in none.
	DetailsNever
)

// Limits bound the head of a request. Zero means the default, a negative value no limit. The server in front has limits
// of its own, as http.Server.MaxHeaderBytes.
type Limits struct {
	// Target bounds path and query, in bytes: 32768. Beyond it, 414.
	Target int
	// Fields bounds the number of header fields: 1000. Beyond it, 431.
	Fields int
	// Field bounds the name and value of each, in bytes: 32768. Beyond it, 431.
	Field int
	// Head bounds target, names and values together, in bytes: 81920. Beyond it, 431.
	Head int
}

// Sendfile lets an application respond with a file instead of a body: by the field X-Sendfile, which has the path of a
// file, or X-Accel-Redirect, which has a URI path. A field that is not allowed is removed from the response.
type Sendfile struct {
	// Roots are directories, absolute, that X-Sendfile may name files in.
	Roots []string
	// Accel has directories by the URI path that stands for them in X-Accel-Redirect, with a slash at its beginning and
	// end.
	Accel map[string]string
	// ToProxy leaves these fields to a proxy in front that knows them; Roots and Accel do nothing then.
	ToProxy bool
}

// Validate reports every fault of c, joined. Each error begins with the name of its field. Options have a Validate
// method of their own.
func (c *Config) Validate() error {
	var errs []error
	fault := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}

	if c.ConnectTimeout < 0 {
		fault("ConnectTimeout", "the time %s for connecting to a process is negative: use 0 for %s, or more",
			c.ConnectTimeout, DefaultConnectTimeout)
	}

	c.validateProxies(fault)

	errs = append(errs, c.StickySessions.Validate())
	if name := c.VaryTurbocacheByCookie; name != "" && !httpfield.IsToken(name) {
		fault("VaryTurbocacheByCookie", "the name %q of the cookie that the turbocache varies by is not one of a "+
			"cookie: "+tokenAdvice, name)
	}

	c.validatePaths(fault)

	errs = append(errs, c.Sendfile.validate()...)
	if c.ErrorDetails > DetailsNever {
		fault("ErrorDetails", "%d is not one of DetailsInDevelopment, DetailsAlways and DetailsNever", c.ErrorDetails)
	}

	for _, s := range []struct {
		field, what string
		status      int
	}{
		{"QueueFullStatus", "a full queue", c.QueueFullStatus},
		{"QueueTimeoutStatus", "a time-out in the queue", c.QueueTimeoutStatus},
		{"SpawnErrorStatus", "a failed start", c.SpawnErrorStatus},
	} {
		if s.status != 0 && (s.status < 400 || s.status > 999) {
			fault(s.field, "the status %d for %s is not one of an error: use 400 to 999", s.status, s.what)
		}
	}

	return errors.Join(errs...)
}

func (c *Config) validateProxies(fault func(field, format string, args ...any)) {
	for _, prefix := range c.TrustedProxies {
		switch {
		case !prefix.IsValid():
			fault("TrustedProxies", "%q is no prefix of addresses: use one like 10.0.0.0/8", prefix)
		case prefix.Addr().Is4In6():
			fault("TrustedProxies", "%q is an address of IPv4 as one of IPv6: use the form 10.0.0.0/8", prefix)
		}
	}

	for _, name := range c.TrustedHeaders {
		if proxyheader.Of(http.CanonicalHeaderKey(name)) == proxyheader.Anybody {
			fault("TrustedHeaders", "%q is no header that applications believe of proxies: use one of %s, or "+
				"another one that begins with X-Forwarded-", name, strings.Join(proxyheader.Names(), ", "))
		}
	}
}

func (c *Config) validatePaths(fault func(field, format string, args ...any)) {
	for _, list := range []struct {
		field, what string
		paths       []string
	}{
		{"UnlimitedConcurrencyPaths", "path of unlimited concurrency", c.UnlimitedConcurrencyPaths},
		{"MetricsExclude", "path that metrics exclude", c.MetricsExclude},
	} {
		for _, path := range list.paths {
			if _, err := urlpath.Parse(path); path == "" {
				fault(list.field, "a %s is empty: leave it out, or write / for all", list.what)
			} else if err != nil {
				fault(list.field, "the %s %w", list.what, err)
			}
		}
	}
}

// tokenAdvice says what the name of a cookie may consist of.
const tokenAdvice = "use letters, digits and !#$%%&'*+-.^_`|~"

// validate reports every fault of s.
func (s *Sendfile) validate() (errs []error) {
	fault := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("Sendfile."+field+": "+format, args...))
	}

	for _, dir := range s.Roots {
		if !filepath.IsAbs(dir) {
			fault("Roots", "the directory %q of files for X-Sendfile is not absolute: name it from the root on, as "+
				"/srv/files", dir)
		}
	}

	for _, prefix := range slices.Sorted(maps.Keys(s.Accel)) {
		if !strings.HasPrefix(prefix, "/") || !strings.HasSuffix(prefix, "/") {
			fault("Accel", "the path %q for X-Accel-Redirect does not begin and end with a slash: write it as /files/",
				prefix)
		}

		if dir := s.Accel[prefix]; !filepath.IsAbs(dir) {
			fault("Accel", "the directory %q for X-Accel-Redirect to %s is not absolute: name it from the root on, "+
				"as /srv/files", dir, prefix)
		}
	}

	return errs
}

// clone returns a copy that shares no map and no slice with c.
func (c Config) clone() Config {
	c.Options.App = c.Options.App.Clone()
	c.TrustedProxies = slices.Clone(c.TrustedProxies)
	c.TrustedHeaders = slices.Clone(c.TrustedHeaders)
	c.UnlimitedConcurrencyPaths = slices.Clone(c.UnlimitedConcurrencyPaths)
	c.MetricsExclude = slices.Clone(c.MetricsExclude)
	c.Sendfile.Roots = slices.Clone(c.Sendfile.Roots)
	c.Sendfile.Accel = maps.Clone(c.Sendfile.Accel)
	c.ErrorPage = slices.Clone(c.ErrorPage)

	return c
}

// withDefaults returns c with the defaults in place of zero values.
func (c Config) withDefaults() Config {
	c.Limits.Target = cmp.Or(c.Limits.Target, DefaultMaxHeaderField)
	c.Limits.Fields = cmp.Or(c.Limits.Fields, 1000)
	c.Limits.Field = cmp.Or(c.Limits.Field, DefaultMaxHeaderField)
	c.Limits.Head = cmp.Or(c.Limits.Head, DefaultMaxHeader)
	c.MaxResponseHead = cmp.Or(c.MaxResponseHead, DefaultMaxResponseHead)

	c.MaxQueueShare = cmp.Or(c.MaxQueueShare, DefaultMaxQueueShare)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, DefaultConnectTimeout)
	c.MaxResponseBuffer = cmp.Or(c.MaxResponseBuffer, DefaultMaxResponseBuffer)
	c.ClientGrace = cmp.Or(c.ClientGrace, DefaultClientGrace)
	c.MinClientRate = cmp.Or(c.MinClientRate, DefaultMinClientRate)
	c.ClientStallTimeout = cmp.Or(c.ClientStallTimeout, DefaultClientStallTimeout)

	// The greatest durations, as a program may have for "no limit", would overflow where they are added up.
	c.ClientGrace = min(c.ClientGrace, noLimit)
	c.ClientStallTimeout = min(c.ClientStallTimeout, noLimit)

	c.Buffers = cmp.Or(c.Buffers, defaultBudget())
	c.Logger = defaultlog.Or(c.Logger)

	return c
}

func (c *Config) showsDetails() bool {
	return c.ErrorDetails == DetailsAlways ||
		c.ErrorDetails == DetailsInDevelopment && c.Options.App.Environment == "development"
}
