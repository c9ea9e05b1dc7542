package passenger

// Version is that of this library.
const Version = "0.1.0"

// ServerSoftware is what applications are told of us.
const ServerSoftware = "gopassenger/" + Version
