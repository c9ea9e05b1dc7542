package goapp

import (
	"net"
	"net/http"
	"strings"
)

// clientHeader names the client, by loaderproto.FeatureHTTPClient, as an address, a space and a port.
const clientHeader = "!~Passenger-Client"

// clientNamer gives requests the address of the client in the place of that of Passenger.
type clientNamer struct{ app http.Handler }

func (n *clientNamer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if addr, port, ok := strings.Cut(r.Header.Get(clientHeader), " "); ok {
		r.RemoteAddr = net.JoinHostPort(addr, port)
	}

	r.Header.Del(clientHeader)

	n.app.ServeHTTP(w, r)
}
