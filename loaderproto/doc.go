// Package loaderproto is the codec of the spawn handshake 1.0: what a spawner
// and the program that loads an application say to each other over the
// program's stdin and stdout until the application serves requests.
//
//	loader:  !> I have control 1.0
//	spawner: You have control 1.0
//	spawner: key: value               (repeated)
//	spawner:                          (an empty line)
//	loader:  !> Ready
//	loader:  !> socket: main;unix:/path;session;1
//	loader:  !>                       (marker, space, newline)
//
// Lines that do not begin with the marker are the application's own output and
// may stand anywhere between the others. Instead of either of its messages the
// loader may send an error: "!> Error", attributes, the terminator, and free
// text until it closes its end.
//
// [Negotiate] is the spawner's side and [Loader] the program's. A
// preloader gets its commands by [SendSpawnCommand]. The package starts
// no process, sets no deadline and logs nothing: the caller sets one deadline
// on the connection, and whatever happens comes back as an [*Error] whose
// [Kind] tells the outcomes apart.
package loaderproto

// Version is the version of the protocol that this package speaks.
const Version = "1.0"

const (
	marker = "!> "

	iHaveControl   = "I have control "
	youHaveControl = "You have control "
	ready          = "Ready"
	errorMessage   = "Error"
)

// Limits. A peer that exceeds one gets an error, never a truncated value.
const (
	// MaxLine bounds a line of the protocol, in bytes, without its newline.
	MaxLine = 64 << 10
	// MaxErrorText bounds the free text of an Error message, in bytes. What is
	// longer is cut there: it is shown to people, nothing is decided by it.
	MaxErrorText = 128 << 10
	// MaxHeaderLines bounds the lines of a Ready or Error block, without the
	// terminator, and the keys of a request.
	MaxHeaderLines = 256
	// MaxRequestSockets is how many sockets that take requests a process may
	// report.
	MaxRequestSockets = 3
	// MaxHandshakes bounds the handshakes of one negotiation. A program makes
	// another one when it executes itself after it has read the request.
	MaxHandshakes = 64

	noiseChunk = 8 << 10
)
