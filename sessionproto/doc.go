// Package sessionproto is the codec of the session protocol, by which requests reach applications
// that do not speak HTTP themselves.
//
// A request is a four-byte big-endian length N, N bytes of NAME NUL VALUE NUL, and the body. The
// names are those of CGI: REQUEST_METHOD, PATH_INFO, HTTP_*. The response is an HTTP/1.1 response.
// [Encoder] writes the header block, and [ReadHeader] reads it.
//
// Two requests are for the process and not for the application: [Ping] checks whether it is alive,
// and [OOBW] makes it do its out-of-band work. Neither has a REQUEST_URI, and the response to both
// is plain text. docs/session-protocol.md describes the protocol for authors of loaders.
package sessionproto

// MaxHeader limits a header block, in bytes without the length in front: the limit of the
// original's loaders.
const MaxHeader = 128 << 10

// The methods of requests for the process itself, and its responses.
const (
	MethodPing = "PING"
	MethodOOBW = "OOBW"
	PingReply  = "pong"
	OOBWReply  = "oobw done"
)

// The names that this package interprets.
const (
	requestMethod   = "REQUEST_METHOD"
	requestURI      = "REQUEST_URI"
	connectPassword = "PASSENGER_CONNECT_PASSWORD"
)

const lengthSize = 4
