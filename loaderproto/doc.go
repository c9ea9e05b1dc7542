// Package loaderproto is the codec of the spawn handshake, version 1.0: the conversation between a
// spawner and the program that loads an application, over the program's stdin and stdout, until the
// application serves requests.
//
//	loader:  !> I have control 1.0
//	spawner: You have control 1.0
//	spawner: key: value               (repeated)
//	spawner:                          (an empty line)
//	loader:  !> Ready
//	loader:  !> socket: main;unix:/path;session;1
//	loader:  !>                       (marker, space, newline)
//
// Lines that do not begin with the marker are output of the application, and may stand anywhere
// between the others. Instead of either message the loader may send an error: "!> Error",
// attributes, the terminator, and free text until it closes its end.
//
// [Negotiation] is the side of the spawner, [Loader] that of the program. A preloader receives its
// commands by [SendSpawnCommand].
//
// The package starts no process, sets no deadline and logs nothing. The caller sets one deadline on
// the connection. Each failure is an [*Error], whose [Kind] tells the outcomes apart.
// docs/loader-protocol.md describes the protocol for authors of loaders.
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
	// MaxLine limits a line of the protocol, in bytes, without its newline.
	MaxLine = 64 << 10
	// MaxErrorText limits the free text of an Error message, in bytes. Longer text is cut: it is
	// shown to people, and decides nothing.
	MaxErrorText = 128 << 10
	// MaxHeaderLines limits the lines of a Ready or Error block, without the terminator, and the
	// keys of a request.
	MaxHeaderLines = 256
	// MaxRequestSockets limits the sockets for requests that a process may report.
	MaxRequestSockets = 3
	// MaxHandshakes limits the handshakes of one negotiation. A program begins another one when it
	// executes itself after reading the request.
	MaxHandshakes = 64

	noiseChunk = 8 << 10
)
