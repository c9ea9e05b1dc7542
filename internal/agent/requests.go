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
	RequestBuffering    bool  `koanf:"request_buffering"`
	MaxRequestBodySize  int64 `koanf:"max_request_body_size"`
	ResponseBufferLimit int64 `koanf:"response_buffer_high_watermark"`
	// MaxBufferSize is -1 for the default of package handler.
	MaxBufferSize        int64  `koanf:"max_buffer_size"`
	DataBufferDir        string `koanf:"data_buffer_dir"`
	ClientHeaderTimeout  int    `koanf:"client_header_timeout"`
	ClientTimeout        int    `koanf:"client_timeout"`
	ClientMinRate        int64  `koanf:"client_min_rate"`
	ClientStallTimeout   int    `koanf:"client_stall_timeout"`
	KeepAliveTimeout     int    `koanf:"keepalive_timeout"`
	MaxRequestTime       int    `koanf:"max_request_time"`
	MaxRequestQueueTime  int    `koanf:"max_request_queue_time"`
	QueueOverflowStatus  int    `koanf:"request_queue_overflow_status_code"`
	QueueTimeoutStatus   int    `koanf:"request_queue_timeout_status_code"`
	SpawnExceptionStatus int    `koanf:"spawn_exception_status_code"`
	// MaxHeaderSize bounds the head of a request, MaxHeaderFieldSize each of its fields,
	// MaxTargetSize path and query, and MaxResponseHeaderSize the head of a response.
	MaxHeaderSize         int `koanf:"max_header_size"`
	MaxHeaderFieldSize    int `koanf:"max_header_field_size"`
	MaxTargetSize         int `koanf:"max_target_size"`
	MaxResponseHeaderSize int `koanf:"max_response_header_size"`
	// MaxQueueShare is the share of the queue that one client's connection may have.
	MaxQueueShare float64 `koanf:"max_queue_share"`
	// ForceMaxConcurrency is -1 for what the application says, 0 for no limit.
	ForceMaxConcurrency       int               `koanf:"force_max_concurrent_requests_per_process"`
	UnlimitedConcurrencyPaths []string          `koanf:"unlimited_concurrency_paths"`
	Turbocaching              bool              `koanf:"turbocaching"`
	VaryTurbocacheByCookie    string            `koanf:"vary_turbocache_by_cookie"`
	SendfileRoots             []string          `koanf:"sendfile_roots"`
	AccelRedirect             map[string]string `koanf:"accel_redirect"`
	AbortWebSockets           bool              `koanf:"abort_websockets_on_process_shutdown"`
	CustomErrorPage           string            `koanf:"custom_error_page"`
	TrustedProxies            []string          `koanf:"trusted_proxies"`
	TrustedHeaders            []string          `koanf:"trusted_headers"`
	// Sendfile is auto, self or proxy; empty: auto.
	Sendfile string `koanf:"sendfile"`
	// ProxyProtocol has the networks of proxies that say by the PROXY protocol who the
	// client is, and unix for those on the Unix socket; empty: nobody does.
	ProxyProtocol       []string `koanf:"proxy_protocol"`
	ShowVersionInHeader bool     `koanf:"show_version_in_header"`
	AccessLog           string   `koanf:"access_log"`
}

func defaultRequests() Requests {
	return Requests{
		RequestBuffering:      true,
		ResponseBufferLimit:   handler.DefaultMaxResponseBuffer,
		MaxBufferSize:         -1,
		ClientHeaderTimeout:   30,
		KeepAliveTimeout:      75,
		ClientTimeout:         int(handler.DefaultClientGrace / time.Second),
		ClientMinRate:         handler.DefaultMinClientRate,
		ClientStallTimeout:    int(handler.DefaultClientStallTimeout / time.Second),
		MaxHeaderSize:         handler.DefaultMaxHeader,
		MaxHeaderFieldSize:    handler.DefaultMaxHeaderField,
		MaxTargetSize:         handler.DefaultMaxHeaderField,
		MaxResponseHeaderSize: handler.DefaultMaxResponseHead,

		ForceMaxConcurrency: -1,
		MaxQueueShare:       handler.DefaultMaxQueueShare,
		Turbocaching:        true,
		AbortWebSockets:     true,
		ShowVersionInHeader: true,
	}
}

// What limits of heads may be: browsers send some hundred bytes, and each connection may
// have as much in memory.
const (
	leastHeader = 1 << 10
	mostHeader  = 1 << 20
)

// validate finds what package handler does not.
func (c *Requests) validate() (errs []error) {
	for _, number := range []struct {
		key   string
		value int64
		least int64
	}{
		{"response_buffer_high_watermark", c.ResponseBufferLimit, 0},
		{"client_header_timeout", int64(c.ClientHeaderTimeout), 1},
		{"client_timeout", int64(c.ClientTimeout), 0},
		{"client_min_rate", c.ClientMinRate, 0},
		{"client_stall_timeout", int64(c.ClientStallTimeout), 0},
		{"keepalive_timeout", int64(c.KeepAliveTimeout), 1},
		{"max_request_time", int64(c.MaxRequestTime), 0},
		{"max_request_queue_time", int64(c.MaxRequestQueueTime), 0},
		{"force_max_concurrent_requests_per_process", int64(c.ForceMaxConcurrency), -1},
	} {
		if number.value < number.least {
			errs = append(errs, fmt.Errorf("%s is %d: it must be %d or more", number.key, number.value, number.least))
		}
	}

	for _, size := range []struct {
		key   string
		value int
	}{
		{"max_header_size", c.MaxHeaderSize},
		{"max_header_field_size", c.MaxHeaderFieldSize},
		{"max_target_size", c.MaxTargetSize},
		{"max_response_header_size", c.MaxResponseHeaderSize},
	} {
		if size.value < leastHeader || size.value > mostHeader {
			errs = append(errs, fmt.Errorf("%s is %d: it must be from %d to %d bytes", size.key, size.value,
				leastHeader, mostHeader))
		}
	}

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

	if share := c.MaxQueueShare; !(share > 0 && share <= 1) { // NaN is neither
		errs = append(errs, fmt.Errorf("max_queue_share is %v: it must be a share above 0 and up to 1, such as 0.5",
			share))
	}

	if _, err := c.buffers(); err != nil {
		errs = append(errs, err)
	}

	if _, err := c.proxies(); err != nil {
		errs = append(errs, err)
	}

	if _, err := c.errorPage(); err != nil {
		errs = append(errs, err)
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

// errorPage reads the page that is shown instead of ours; nil: there is none.
func (c *Requests) errorPage() ([]byte, error) {
	if c.CustomErrorPage == "" {
		return nil, nil
	}

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

// parseNetwork takes an address for the network that has no other.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}

	return netip.ParsePrefix(s)
}

// limit sets what is the pool's to do.
func (c *Requests) limit(o *passenger.Options) {
	o.MaxRequestTime = time.Duration(c.MaxRequestTime) * time.Second
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
	if watermark == 0 {
		watermark = math.MaxInt64
	}

	proxies, _ := c.proxies() // validate has told
	errorPage, _ := c.errorPage()

	return handler.Config{
		Options:      c.options(),
		ErrorDetails: errorDetails[strings.ToLower(c.FriendlyErrorPages)],
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
		UnlimitedConcurrencyPaths: c.UnlimitedConcurrencyPaths,
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

// orUnlimited is a limit of a handler, for which 0 is not without one.
func orUnlimited[T ~int64](limit T) T {
	if limit == 0 {
		return -1
	}

	return limit
}
