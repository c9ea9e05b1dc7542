// Package hostile has tables of hostile and odd requests and responses. Its tests
// run them against the built server, over raw sockets.
//
// The application is the test itself: the process that the server starts only
// accepts connections and hands them over (app_test.go), so that a test sees what
// the application sees, and says every byte of its responses (stage_test.go,
// script_test.go). request_test.go and response_test.go say what a row is; the rows
// are in the files beside them. What every request has to keep to is in
// rules_test.go. Rows that the server fails today are named in open_test.go.
//
// What needs virtual time, and the fuzz target, run the handler in this process
// (booth_test.go).
package hostile
