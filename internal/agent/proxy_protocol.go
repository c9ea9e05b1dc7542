package agent

import (
	"errors"
	"fmt"
	"net"

	"github.com/gopassenger/passenger/internal/proxyproto"
	"github.com/gopassenger/passenger/internal/ratelog"
	"github.com/gopassenger/passenger/internal/rawsock"
)

// unixPeers names the peers on the Unix socket among networks.
const unixPeers = "unix"

// proxyProtocol accepts addresses and prefixes, and unix.
func (c *Requests) proxyProtocol() (p proxyproto.Config, err error) {
	for _, s := range c.ProxyProtocol {
		if s == unixPeers {
			p.Unix = true
			continue
		}

		prefix, err := parseNetwork(s)
		if err != nil {
			return p, fmt.Errorf("proxy_protocol: %q is neither an address nor a prefix like 10.0.0.0/8, nor %s, "+
				"for all that connect to the socket file", s, unixPeers)
		}

		p.Networks = append(p.Networks, prefix)
	}

	return p, nil
}

// checkProxyProtocol makes sure that clients can connect.
func (c *Config) checkProxyProtocol() error {
	p, err := c.proxyProtocol()
	if err != nil {
		return err
	}

	switch {
	case len(c.ProxyProtocol) == 0:
	case c.Flying != nil:
		return errors.New("proxy_protocol is for the ports of start: leave it out, as the web server in front of " +
			"Flying says by SCGI or HTTP " +
			"who the client is")
	case c.SocketFile != "" && !p.Unix:
		return fmt.Errorf("proxy_protocol does not have %s, without which no client can connect to the socket file "+
			"%s: add it", unixPeers, c.SocketFile)
	case c.SocketFile == "" && len(p.Networks) == 0:
		return fmt.Errorf("proxy_protocol has only %s, and there is no socket file: name the networks of the proxies",
			unixPeers)
	}

	return nil
}

// behindProxies returns l, or what takes the connections of proxies from it.
func (s *Server) behindProxies(l net.Listener) net.Listener {
	// Validate reports the error.
	cfg, _ := s.cfg.proxyProtocol()
	if len(s.cfg.ProxyProtocol) == 0 {
		return l
	}

	cfg.Named = s.limiter.Assign

	// Any peer can cause them.
	var refused ratelog.Line
	cfg.Refused = func(peer net.Addr, reason error) {
		refused.Tell(func(more int) {
			s.log.Error(reason, "closed connections: those of the proxies that proxy_protocol names must begin "+
				"with a header of the "+
				"PROXY protocol, and others are not accepted", "peer", peer.String(), "more", more)
		})
	}

	return proxyproto.Listen(rawsock.Listener(l), cfg)
}
