// Package proxyheader knows the request headers by which a proxy tells an application
// something that the application believes: who the client is, what it asked for and
// how, as which user it has logged in, and from where the proxy may send files.
//
// The names are those that Rack, Rails, Django, Werkzeug, Express, Symfony, Laravel,
// Spring, ASP.NET and the usual libraries for the client's address look for, and those
// that load balancers and proxies with a login set.
package proxyheader

import (
	"net/textproto"
	"slices"
	"strings"
)

// Trust says whose header is believed.
type Trust uint8

const (
	// Anybody means that any client may send the header.
	Anybody Trust = iota
	// TrustedProxy is for headers that every trusted proxy may set.
	TrustedProxy
	// NamedOnly is for headers that a trusted proxy may set where the configuration
	// names them.
	NamedOnly
)

// always are believed of each trusted proxy.
var always = []string{
	"X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id", "X-Request-Start", "Traceparent", "Tracestate",
}

// known are believed only where they are named, in the spelling of their documentation.
var known = []string{
	// What the client asked for, and how.
	"Forwarded", "X-Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Scheme",
	"X-Forwarded-Ssl", "X-Forwarded-Protocol", "X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Uri",
	"X-Forwarded-Method", "X-Forwarded-Script-Name", "X-Forwarded-By", "X-Host", "X-HTTP-Host-Override",
	"X-Original-Url", "X-Original-Uri", "X-Original-Host", "X-Original-Proto", "X-Original-For", "X-Original-Method",
	"X-Rewrite-Url", "X-Script-Name", "X-Scheme", "X-Url-Scheme", "X-Https", "Front-End-Https", "X-ARR-SSL",
	"CloudFront-Forwarded-Proto",
	// Who the client is.
	"X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP", "X-True-Client-IP", "X-Cluster-Client-IP",
	"Forwarded-For",
	"CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Pseudo-IPv4", "Fastly-Client-IP", "Fly-Client-IP", "DO-Connecting-IP",
	"X-Appengine-User-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Envoy-External-Address", "X-ProxyUser-Ip",
	"Proxy-Client-IP", "WL-Proxy-Client-IP", "CloudFront-Viewer-Address", "X-Remote-Addr", "X-Remote-IP",
	// As which user it has logged in.
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username",
	"X-Forwarded-Access-Token", "X-Forwarded-Client-Cert", "X-Remote-User", "Remote-User", "Remote-Groups",
	"Remote-Name",
	"Remote-Email", "X-Authenticated-User", "X-Authenticated-Userid", "X-WebAuth-User", "X-Auth-Request-User",
	"X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Goog-Authenticated-User-Email", "X-Goog-IAP-JWT-Assertion",
	"X-MS-Client-Principal", "X-MS-Client-Principal-Name", "X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data",
	"CF-Access-Authenticated-User-Email", "X-SSL-Client-Cert", "X-SSL-Client-Verify", "X-SSL-Client-DN",
	"SSL-Client-Cert", "SSL-Client-Verify", "X-Client-Cert", "X-Client-Verify", "Client-Cert", "Client-Cert-Chain",
	"X-ARR-ClientCert",
	// Which files the proxy sends, and how.
	"X-Sendfile-Type", "X-Accel-Mapping",
}

// prefixes begin the names of headers that are believed only where they are named. They
// are canonical.
var prefixes = []string{
	"Forwarded", "X-Forwarded", "X-Original-", "X-Rewrite-", "X-Remote-", "X-Auth-Request-", "X-Authentik-",
	"X-Authenticated-", "X-Pomerium-", "X-Goog-Authenticated-User-", "X-Ms-Client-Principal", "X-Ms-Token-",
	"X-Amzn-Oidc-",
	"Cf-Access-", "X-Ssl-", "Ssl-Client-", "X-Client-Cert", "Client-Cert", "X-Accel-",
}

// trusts has the headers of always and known by their canonical names.
var trusts = func() map[string]Trust {
	trusts := make(map[string]Trust, len(always)+len(known))
	for _, name := range known {
		trusts[textproto.CanonicalMIMEHeaderKey(name)] = NamedOnly
	}

	for _, name := range always {
		trusts[name] = TrustedProxy
	}

	return trusts
}()

// initials are the letters that names of prefixes begin with.
const initials = "CFRSX"

// Of says who may set the header of that canonical name.
func Of(name string) Trust {
	if trust, ok := trusts[name]; ok {
		return trust
	}

	if name == "" || strings.IndexByte(initials, name[0]) < 0 {
		return Anybody
	}

	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return NamedOnly
		}
	}

	return Anybody
}

// Names returns the names that Of knows and that are believed only where they are
// named.
func Names() []string { return slices.Clone(known) }

// Always returns the names of those that each trusted proxy may set.
func Always() []string { return slices.Clone(always) }
