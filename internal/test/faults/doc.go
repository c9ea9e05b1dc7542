// Package faults has the tests of what a whole server does in a fault: of the
// application, the client, or the system. Each is named after the fault or the
// rule that it shows. They look at /proc, and so need Linux.
package faults
