package passengerotel

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The attributes that semantic conventions do not name.
const (
	appNameKey       = attribute.Key("passenger.app.name")
	requestIDKey     = attribute.Key("passenger.request.id")
	queuedKey        = attribute.Key("passenger.request.queue.duration")
	firstByteKey     = attribute.Key("passenger.request.first_byte.duration")
	cachedKey        = attribute.Key("passenger.request.cached")
	pidKey           = attribute.Key("passenger.process.pid")
	generationKey    = attribute.Key("passenger.generation")
	blockingKey      = attribute.Key("passenger.restart.blocking")
	errorIDKey       = attribute.Key("passenger.spawn_error.id")
	errorCategoryKey = attribute.Key("passenger.spawn_error.category")
)

// text makes s valid for exporters: a single string of other bytes costs them the whole batch.
func text(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func appName(name string) attribute.KeyValue { return appNameKey.String(text(name)) }

func requestID(id string) attribute.KeyValue { return requestIDKey.String(text(id)) }

// requestAttributes are those of the server's span at its beginning, when samplers see them.
func (o *Observer) requestAttributes(e *passenger.RequestEvent) []attribute.KeyValue {
	path, query, hasQuery := strings.Cut(withoutAuthority(e.Target), "?")
	method := knownMethod(e.Method)
	attributes := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(method),
		semconv.URLScheme(e.Scheme),
		semconv.URLPath(text(path)),
		appName(e.AppName),
		requestID(e.ID),
	}
	if method != e.Method {
		attributes = append(attributes, semconv.HTTPRequestMethodOriginal(text(e.Method)))
	}

	if o.cfg.IncludeQuery && hasQuery {
		attributes = append(attributes, semconv.URLQuery(text(redacted(query))))
	}

	if host, port := splitHost(e.Host); host != "" {
		attributes = append(attributes, semconv.ServerAddress(text(host)))
		if port > 0 {
			attributes = append(attributes, semconv.ServerPort(port))
		}
	}

	if e.RemoteAddr != "" {
		attributes = append(attributes, semconv.ClientAddress(text(e.RemoteAddr)))
	}

	if version := protocolVersion(e.Protocol); version != "" {
		attributes = append(attributes, semconv.NetworkProtocolVersion(version))
	}

	if agent := e.Header.Get("User-Agent"); agent != "" {
		attributes = append(attributes, semconv.UserAgentOriginal(text(agent)))
	}

	return attributes
}

// responseAttributes are those that are known at the end of the request.
func responseAttributes(e *passenger.RequestEvent) []attribute.KeyValue {
	attributes := []attribute.KeyValue{cachedKey.Bool(e.Cached)}
	if e.Status != 0 {
		attributes = append(attributes, semconv.HTTPResponseStatusCode(e.Status))
	}

	if e.Processes > 0 {
		attributes = append(attributes, pidKey.Int(e.PID), queuedKey.Float64(e.Queued.Seconds()))
	}

	if e.FirstByte > 0 {
		attributes = append(attributes, firstByteKey.Float64(e.FirstByte.Seconds()))
	}

	return attributes
}

// otherMethod stands for methods that no specification names, of which clients can send any number.
const otherMethod = "_OTHER"

func knownMethod(method string) string {
	switch method {
	case http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch,
		http.MethodPost, http.MethodPut, http.MethodTrace, "QUERY":
		return method
	}

	return otherMethod
}

// spanName is the method, since only the application knows its routes.
func spanName(method string) string {
	if knownMethod(method) == otherMethod {
		return "HTTP"
	}

	return method
}

// protocolVersion returns the version in "HTTP/1.1" in the form of semantic conventions: 1.1, 2, 3.
func protocolVersion(protocol string) string {
	version, ok := strings.CutPrefix(protocol, "HTTP/")
	if !ok {
		return ""
	}

	return strings.TrimSuffix(version, ".0")
}

// splitHost splits the value of a Host header. The port is 0 if it has none.
func splitHost(host string) (name string, port int) {
	name, digits, err := net.SplitHostPort(host)
	if err != nil {
		return strings.Trim(host, "[]"), 0
	}

	if number, err := strconv.ParseUint(digits, 10, 16); err == nil {
		port = int(number)
	}

	return name, port
}

// withoutAuthority removes what precedes the path in a target that is a whole URL, which may have a
// password.
func withoutAuthority(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}

	_, rest, found := strings.Cut(target, "://")
	if !found {
		return target
	}

	switch end := strings.IndexAny(rest, "/?"); {
	case end < 0:
		return "/"
	case rest[end] == '?':
		return "/" + rest[end:]
	default:
		return rest[end:]
	}
}

// secretParameters are those whose values must not be recorded, by the semantic conventions.
var secretParameters = map[string]bool{
	"AWSAccessKeyId":       true,
	"Signature":            true,
	"sig":                  true,
	"X-Goog-Signature":     true,
	"X-Amz-Signature":      true,
	"X-Amz-Credential":     true,
	"X-Amz-Security-Token": true,
}

func redacted(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, found := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); found && (err != nil || secretParameters[plain]) {
			pairs[i] = name + "=REDACTED"
		}
	}

	return strings.Join(pairs, "&")
}
