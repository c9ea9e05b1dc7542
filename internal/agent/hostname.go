package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

const wildcard = "*."

// parseHost reads a host of a configuration: a name, perhaps with a port, which does not
// count, an address, or a wildcard. It returns it as requests have it. The error says what
// is wrong with it, and what to do.
func parseHost(text string) (string, error) {
	fault := func(what string) error { return fmt.Errorf("%q %s", text, what) }

	host, wild := strings.CutPrefix(canonicalHost(text), wildcard)
	switch {
	case text == "":
		return "", errors.New("one is empty: leave it out, or leave all hosts out for those that no other " +
			"application has")
	case host == "*" || wild && host == "":
		return "", fault("is every host: leave hosts out for those that no other application has")
	case strings.Contains(host, "*"):
		return "", fault("has an asterisk that is not its whole first label: write a wildcard as *.example.com")
	case strings.Contains(text, "://"):
		return "", fault("is a URL: write the host alone, as example.com")
	case strings.Contains(text, "/"):
		return "", fault("has a path: write that as path, beside hosts")
	}

	if ip, err := netip.ParseAddr(host); err == nil {
		if wild {
			return "", fault("is a wildcard of an address, which has none: write the address alone")
		}

		return ip.String(), nil
	}

	// Otherwise it has an underscore, perhaps, which IDNA does not allow and plainHost does.
	if converted, err := idna.Lookup.ToASCII(host); err == nil {
		host = converted
	}

	if !plainHost(host) {
		return "", fault("is no host name: write it as example.com, or *.example.com")
	}

	if wild {
		host = wildcard + host
	}

	return strings.ToLower(host), nil
}

// plainHost matches names whose labels are made of letters, digits, hyphens and underscores.
func plainHost(host string) bool {
	const (
		maxName, maxLabel = 253, 63
		plain             = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	)

	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(strings.ToLower(label), plain) != "" {
			return false
		}
	}

	return len(host) <= maxName
}

// canonicalHost is a host as we compare it: in small letters, without a port, brackets or
// a dot at its end.
func canonicalHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}

	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// HealthHost is the host that an application with these is asked for by, to see whether
// it serves; empty means none.
func HealthHost(hosts []string) string {
	first := ""
	for _, text := range hosts {
		host, err := parseHost(text)
		switch name, wild := strings.CutPrefix(host, wildcard); {
		case err != nil:
			// Validate tells.
		case !wild && strings.Contains(host, ":"):
			return "[" + host + "]"
		case !wild:
			return host
		case first == "":
			first = "www." + name
		}
	}

	return first
}
