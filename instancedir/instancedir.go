// Package instancedir keeps the directory by which a running instance of
// Passenger is found: the sockets of its agents, the passwords of their APIs, the
// sockets of applications, and what the instance is. Tools that read Passenger's
// own directories, of version 6, read these as well.
//
// A watchdog makes one with [Create], in a registry: a directory where tools look
// for instances. It holds a lock on it for as long as it lives, calls
// [Dir.Finalize] when everything serves, has [Dir.Keep] look after it, and ends
// with [Dir.Remove]. An agent that is to outlive its watchdog takes it over with
// [Inherit].
//
// A tool gets a [Listing] from [List] and picks an [Instance] with
// [Listing.Select] or [Listing.SelectPID]. [Listing.Clean] removes what instances
// left behind that were killed.
//
// A registry is often /tmp, and users are not trusted with each other's files:
// everything happens through descriptors of open directories,
// follows no links, waits for no FIFO and reads no more than a few kB.
package instancedir

// The entries of an instance directory that have one name only.
const (
	propertiesName       = "properties.json"
	lockName             = "lock"
	finalizedName        = "creation_finalized"
	readOnlyPasswordName = "read_only_admin_password.txt"
	fullPasswordName     = "full_admin_password.txt"
	agentSocketsName     = "agents.s"
	appSocketsName       = "apps.s"
)

// The accounts of the agents' APIs, whose passwords an instance directory keeps.
const (
	ReadOnlyAccount = "ro_admin"
	FullAccount     = "admin"
)

// Names of agents, for WritePID.
const (
	Watchdog = "watchdog"
	Core     = "core"
)

// Names of sockets of agents, for Socket.
const (
	CoreSocket  = "core"
	CoreAPI     = "core_api"
	WatchdogAPI = "watchdog_api"
)

// The names of instance directories.
const (
	prefix       = "passenger."
	suffixLength = 7
)

const (
	passwordLength = 24
	maxPassword    = 128
)

// Lengths of paths of Unix sockets: the longest is that of an application, with
// the room that spawners and loaders need for its name.
const (
	longestSocket   = len(appSocketsName) + len("/") + appDirLength + len("/") + appSocketLength
	appDirLength    = 8
	appSocketLength = 16
	// maxSocketPath is what macOS can; Linux, 107.
	maxSocketPath = 103
)
