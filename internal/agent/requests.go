package agent

import (
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
)

// Requests say how requests are handled. Times are in seconds, sizes in bytes.
type Requests struct {
	RequestBuffering    bool
	MaxRequestBodySize  int64
	ResponseBufferLimit int64
	// MaxBufferSize is -1 for the default of package handler.
	MaxBufferSize        int64
	DataBufferDir        string
	ClientHeaderTimeout  int
	ClientTimeout        int
	ClientMinRate        int64
	ClientStallTimeout   int
	KeepAliveTimeout     int
	MaxRequestTime       int
	MaxRequestQueueTime  int
	QueueOverflowStatus  int
	QueueTimeoutStatus   int
	SpawnExceptionStatus int
	// MaxHeaderSize bounds the head of a request, MaxHeaderFieldSize each of its fields,
	// MaxTargetSize path and query, and MaxResponseHeaderSize the head of a response.
	MaxHeaderSize         int
	MaxHeaderFieldSize    int
	MaxTargetSize         int
	MaxResponseHeaderSize int
	// MaxQueueShare is the share of the queue that one client's connection may have.
	MaxQueueShare float64
	// ForceMaxConcurrency is -1 for what the application says, 0 for no limit.
	ForceMaxConcurrency int
	// UnlimitedConcurrencyPaths of nil means those that the framework is known to use. The only path none means that
	// there are no such paths.
	UnlimitedConcurrencyPaths []string
	// MetricsExclude are the paths whose requests do not count in durations and responses.
	MetricsExclude         []string
	Turbocaching           bool
	VaryTurbocacheByCookie string
	SendfileRoots          []string
	AccelRedirect          map[string]string
	AbortWebSockets        bool
	CustomErrorPage        string
	TrustedProxies         []string
	TrustedHeaders         []string
	// Sendfile is auto, self or proxy; empty means auto.
	Sendfile string
	// ProxyProtocol has the networks of proxies that say by the PROXY protocol who the
	// client is, and unix for those on the Unix socket; empty means none.
	ProxyProtocol       []string
	ShowVersionInHeader bool
	AccessLog           string
}

// What limits of heads may be: browsers send some hundred bytes, and each connection may
// have as much in memory.
const (
	minHead = 1 << 10
	maxHead = 1 << 20
)

// checkHeads finds parts of a head that may be larger than the whole.
func (c *Requests) checkHeads() (errs []error) {
	for _, part := range []struct {
		key   string
		value int
	}{
		{"max_header_field_size", c.MaxHeaderFieldSize},
		{"max_target_size", c.MaxTargetSize},
	} {
		if part.value > c.MaxHeaderSize {
			errs = append(errs, fmt.Errorf("%s is %d, above max_header_size, which is %d: lower the one or raise "+
				"the other", part.key, part.value, c.MaxHeaderSize))
		}
	}

	return errs
}

// buffers returns the budget for what all applications of the server have buffered.
func (c *Requests) buffers() (*handler.BufferBudget, error) {
	size := c.MaxBufferSize
	if size != -1 && size < handler.MinBufferBudget {
		return nil, fmt.Errorf("max_buffer_size is %d: it must be at least %d bytes, or large requests and "+
			"responses could not "+
			"be served, or -1 (a quarter of the free space)", size, handler.MinBufferBudget)
	}

	return handler.NewBufferBudget(max(size, 0))
}

const maxErrorPage = 1 << 20

// errorPage reads the configured error page; nil means none.
func (c *Requests) errorPage() ([]byte, error) {
	if c.CustomErrorPage == "" {
		return nil, nil
	}

	// A named pipe would wait for its writer, and a terminal could become the server's.
	f, err := os.OpenFile(c.CustomErrorPage, //nolint:gosec // G703: the operator names it
		os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY,
		0)
	if err != nil {
		return nil, fmt.Errorf("custom_error_page cannot be used: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("custom_error_page cannot be used: %w", err)
	}

	if !info.Mode().IsRegular() || info.Size() > maxErrorPage {
		return nil, fmt.Errorf("custom_error_page is %s: name a file of at most %d bytes", c.CustomErrorPage,
			maxErrorPage)
	}

	// No more than was looked at, even if the file grows meanwhile.
	page, err := io.ReadAll(io.LimitReader(f, maxErrorPage))
	if err != nil {
		return nil, fmt.Errorf("custom_error_page cannot be used: %w", err)
	}

	return page, nil
}

// proxies accepts addresses and prefixes.
func (c *Requests) proxies() (prefixes []netip.Prefix, err error) {
	for _, s := range c.TrustedProxies {
		prefix, err := parseNetwork(s)
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is neither an address nor a prefix like 10.0.0.0/8", s)
		}

		prefixes = append(prefixes, prefix)
	}

	return prefixes, nil
}

// parseNetwork takes an address for the network that has no other. One of IPv4 in the form of IPv6 is the same network,
// since peers are compared without that form, and without a zone.
func parseNetwork(s string) (netip.Prefix, error) {
	// A zone may have a slash.
	if addr, err := netip.ParseAddr(s); err == nil && !strings.Contains(s, "/") {
		addr = addr.Unmap()
		return addr.Prefix(addr.BitLen())
	}

	const mapped = 96 // bits of ::ffff:0:0/96

	prefix, err := netip.ParsePrefix(s)
	if err == nil && prefix.Addr().Is4In6() && prefix.Bits() >= mapped {
		return prefix.Addr().Unmap().Prefix(prefix.Bits() - mapped)
	}

	return prefix, err
}

// limit sets what is the pool's to do.
func (c *Requests) limit(o *passenger.Options) {
	o.MaxRequestTime = time.Duration(c.MaxRequestTime) * time.Second
	o.App.SlowRequestTime = o.MaxRequestTime
	o.MaxRequestQueueTime = time.Duration(c.MaxRequestQueueTime) * time.Second

	o.KeepLongSessions = !c.AbortWebSockets
	switch {
	case c.ForceMaxConcurrency == 0:
		o.ForceMaxConcurrentRequestsPerProcess = passenger.Unlimited
	case c.ForceMaxConcurrency > 0:
		o.ForceMaxConcurrentRequestsPerProcess = c.ForceMaxConcurrency
	}
}

// handler is the configuration without its loggers.
func (c *Config) handler() handler.Config {
	watermark := c.ResponseBufferLimit
	// Zero means no limit here, and the default there.
	if watermark == 0 {
		watermark = math.MaxInt64
	}

	// Validate reports the error.
	proxies, _ := c.proxies()
	errorPage, _ := c.errorPage()

	return handler.Config{
		Options:      c.options(),
		ErrorDetails: errorDetails[c.FriendlyErrorPages],
		ErrorPage:    errorPage,
		StickySessions: handler.StickySessions{
			Enabled: c.StickySessions, CookieName: c.StickyCookieName, CookieAttributes: c.StickyCookieAttributes,
		},
		StreamRequests:     !c.RequestBuffering,
		MaxRequestBody:     c.MaxRequestBodySize,
		MaxResponseBuffer:  watermark,
		DataBufferDir:      c.DataBufferDir,
		ClientGrace:        orUnlimited(time.Duration(c.ClientTimeout) * time.Second),
		MinClientRate:      orUnlimited(c.ClientMinRate),
		ClientStallTimeout: c.stallTimeout(),
		QueueFullStatus:    c.QueueOverflowStatus,
		QueueTimeoutStatus: c.QueueTimeoutStatus,
		SpawnErrorStatus:   c.SpawnExceptionStatus,
		Limits: handler.Limits{
			Target: c.MaxTargetSize,
			Field:  c.MaxHeaderFieldSize,
			Head:   c.MaxHeaderSize,
		},
		MaxResponseHead:           c.MaxResponseHeaderSize,
		MaxQueueShare:             c.MaxQueueShare,
		UnlimitedConcurrencyPaths: c.configuredPaths(),
		MetricsExclude:            c.MetricsExclude,
		DisableTurbocache:         !c.Turbocaching,
		VaryTurbocacheByCookie:    c.VaryTurbocacheByCookie,
		Sendfile: handler.Sendfile{
			Roots:   c.SendfileRoots,
			Accel:   c.AccelRedirect,
			ToProxy: c.sendfileToProxy(),
		},
		TrustedProxies: proxies,
		TrustedHeaders: c.TrustedHeaders,
		HidePoweredBy:  !c.ShowVersionInHeader,
	}
}

// stallTimeout is negative where there is none.
func (c *Requests) stallTimeout() time.Duration {
	return orUnlimited(time.Duration(c.ClientStallTimeout) * time.Second)
}

// largestHead is the most that an application takes. What is in front of all of them cannot know yet for which one a
// request is.
func (c *Config) largestHead() int {
	most := c.MaxHeaderSize
	c.each(func(app *Config) { most = max(most, app.MaxHeaderSize) })

	return most
}

// longestStall is the longest stallTimeout of an application; it is negative if one has none.
func (c *Config) longestStall() time.Duration {
	longest := c.stallTimeout()
	c.each(func(app *Config) {
		if own := app.stallTimeout(); longest >= 0 && (own < 0 || own > longest) {
			longest = own
		}
	})

	return longest
}

// orUnlimited is a limit of a handler, for which 0 is not without one.
func orUnlimited[T ~int64](limit T) T {
	if limit == 0 {
		return -1
	}

	return limit
}
