// Package sessionproto is the codec of the session protocol: how requests
// reach applications that do not speak HTTP themselves, and how they answer.
//
// A request is a four-byte big-endian length N, N bytes of NAME NUL VALUE NUL,
// and the body. The names are those of CGI: REQUEST_METHOD, PATH_INFO, HTTP_*.
// The answer is an HTTP/1.1 response. [Encoder] writes the header block,
// [ReadHeader] reads it. Two requests are not for the application: [Ping] asks
// the process whether it lives, [OOBW] to do its out-of-band work; neither has
// a REQUEST_URI, and the answer to either is plain text.
package sessionproto

// MaxHeader bounds a header block, in bytes without the length in front: what
// the loaders of the original accept.
const MaxHeader = 128 << 10

// The methods of requests that are for the process and not its application,
// and what it answers.
const (
	MethodPing = "PING"
	MethodOOBW = "OOBW"
	PingReply  = "pong"
	OOBWReply  = "oobw done"
)

// The names with a meaning to this package.
const (
	requestMethod   = "REQUEST_METHOD"
	requestURI      = "REQUEST_URI"
	connectPassword = "PASSENGER_CONNECT_PASSWORD"
)

const lengthSize = 4
