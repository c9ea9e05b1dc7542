// Package incident is the flight recorder: it finds out what a process and its requests are doing when they come to a
// bad end, and keeps that in a private directory.
//
// A [Recorder] (recorder.go) gets incidents of the pool and the handlers. It asks the process for its backtraces, looks
// into /proc (proc_linux.go), and gives the [Record] to a [Store] (store.go).
package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/status"
)

// MaxSize is the size of the file of an incident, in bytes.
const MaxSize = 256 << 10

const (
	maxRequests = 100
	maxText     = 4 << 10
	// maxSecret is longer than what is known for a secret by its form.
	maxSecret = 1 << 10
)

// Record is an incident as it is kept. Times are in seconds.
type Record struct {
	ID      string                  `json:"id,omitempty"`
	At      time.Time               `json:"at"`
	Cause   passenger.IncidentCause `json:"cause"`
	Summary string                  `json:"summary"`
	App     string                  `json:"app"`
	Root    string                  `json:"root"`
	// PID is that of the first of Processes; zero means that the incident is about none in particular.
	PID   int    `json:"pid"`
	Limit string `json:"limit,omitempty"`
	Error string `json:"error,omitempty"`

	// Request is the one that the incident is about; nil means none, or that it is not known which one. Others are
	// the other requests of the process, or those of the application if it is about no process, the latest first.
	Request *Request  `json:"request,omitempty"`
	Others  []Request `json:"others"`
	// Processes have at most one element, unless the incident is about no process in particular.
	Processes []Process `json:"processes"`
	// Cut says what was left out for the size; empty means nothing.
	Cut string `json:"cut,omitempty"`
}

// Request is a request in progress, or one that has just failed.
type Request struct {
	ID     string `json:"id"`
	Method string `json:"method"`
	Host   string `json:"host"`
	// Path has no query.
	Path  string    `json:"path"`
	Began time.Time `json:"began"`
	Age   float64   `json:"age"`
	// State is how far it is; see handler.RequestState.
	State string `json:"state"`
	// Queued is the time that it waited for a process, CheckedOut the time from its beginning until it had one.
	Queued     float64 `json:"queued"`
	CheckedOut float64 `json:"checkedOut"`
	// PID is zero if it has no process.
	PID int `json:"pid"`
	// ClientGone reports whether its client had left before.
	ClientGone bool `json:"clientGone,omitzero"`
}

// Process is a process of an application.
type Process struct {
	PID   int    `json:"pid"`
	GUPID string `json:"gupid"`
	// Type is that of the application; empty for a start command.
	Type       string                `json:"type"`
	Age        float64               `json:"age"`
	Sessions   int                   `json:"sessions"`
	Processed  uint64                `json:"processed"`
	Memory     procstat.Value[int64] `json:"memory"`
	ExitStatus string                `json:"exitStatus,omitempty"`
	// Backtraces are in the words of the process's language. NoBacktraces is why there are none.
	Backtraces   []string `json:"backtraces"`
	NoBacktraces string   `json:"noBacktraces,omitempty"`
	// Output are the last lines that it has printed.
	Output []string `json:"output"`
	// Tree is what the system says of the process and those that it has started.
	Tree []SystemProcess `json:"tree"`
}

// SystemProcess is what the system says of a process. What is not known is left out.
type SystemProcess struct {
	PID     int                   `json:"pid"`
	Parent  int                   `json:"parent"`
	Command string                `json:"command"`
	State   string                `json:"state"`
	RSS     procstat.Value[int64] `json:"rss"`
	// Files is the number of open files.
	Files   procstat.Value[int64] `json:"files"`
	Threads []Thread              `json:"threads"`
}

// Thread is what the system says of a thread.
type Thread struct {
	TID   int    `json:"tid"`
	Name  string `json:"name"`
	State string `json:"state"`
	// WaitsIn is the function of the kernel that it waits in, and Call the number of the system call with its
	// arguments, or "running".
	WaitsIn string `json:"waitsIn,omitempty"`
	Call    string `json:"call,omitempty"`
	// Stack is that in the kernel, for root.
	Stack []string `json:"stack,omitempty"`
}

// line returns the incident's line in lists.
func (r *Record) line(file string) status.Incident {
	return status.Incident{
		ID:      r.ID,
		At:      r.At,
		Cause:   string(r.Cause),
		Summary: r.Summary,
		App:     r.App,
		PID:     r.PID,
		File:    file,
	}
}

// newRequest describes a request without its query, as of now.
func newRequest(s *handler.RequestSnapshot, now time.Time) Request {
	return Request{
		ID:         text(s.ID),
		Method:     text(s.Method),
		Host:       text(s.Host),
		Path:       pathOf(s.Path),
		Began:      s.Began,
		Age:        seconds(now.Sub(s.Began)),
		State:      s.State.String(),
		Queued:     seconds(s.Queued),
		CheckedOut: seconds(s.CheckedOut),
		PID:        s.PID,
		ClientGone: s.ClientGone,
	}
}

// pathOf returns the path of a target without what may have secrets.
func pathOf(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return text(path)
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// text makes a foreign text fit to be shown, and no longer than it need be.
func text(s string) string {
	if len(s) <= maxText {
		return redact.Text(strings.ToValidUTF8(s, "?"))
	}

	// Half of a secret looks like none: one at the end of what is kept has to be seen whole, and what the longer text
	// ends with may be half of another.
	rest := 0
	if len(s) > maxText+maxSecret {
		s, rest = s[:maxText+maxSecret], maxSecret
	}

	s = redact.Text(strings.ToValidUTF8(s, "?"))

	end := max(min(maxText, len(s)-rest), 0)
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}

	return s[:end] + "..."
}

// summary says what has happened, in one sentence.
func summary(in *passenger.Incident, pid int) string {
	switch in.Cause {
	case passenger.IncidentExit:
		return fmt.Sprintf("process %d ended by itself: %s", pid, in.Process.ExitStatus())
	case passenger.IncidentRequestTime:
		return fmt.Sprintf("a request exceeded its time limit of %s, and process %d was killed", in.Limit, pid)
	case passenger.IncidentMemory:
		return fmt.Sprintf("process %d used more memory than its limit of %s, and was replaced", pid, in.Limit)
	case passenger.IncidentHardMemory:
		return fmt.Sprintf("process %d used more memory than its limit of %s, and was killed", pid, in.Limit)
	case passenger.IncidentDrainTime:
		return fmt.Sprintf("process %d did not finish its requests within %s, and was stopped", pid, in.Limit)
	case passenger.IncidentUnresponsive:
		return fmt.Sprintf("process %d did not respond, and was replaced: %s", pid, text(in.Error))
	case passenger.IncidentQueueTime:
		return "a request waited too long for a process"
	case passenger.IncidentNoResponse:
		return "a request got no response: " + text(in.Error)
	case passenger.IncidentNone:
		return fmt.Sprintf("process %d as it is", pid)
	}

	return string(in.Cause)
}

// encode returns the record as JSON, of at most MaxSize. What is too much is cut off, and Cut says so.
func (r *Record) encode() ([]byte, error) {
	for {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")

		err := e.Encode(r)
		content := printable.JSON(b.Bytes())
		if err != nil || len(content) <= MaxSize {
			return content, err
		}

		r.shorten()
	}
}

// shorten halves what takes most space.
func (r *Record) shorten() {
	r.Cut = fmt.Sprintf("A part of the longest lists was cut off: the file would have more than %d bytes.", MaxSize)

	if len(r.Others) > 20 {
		r.Others = r.Others[:len(r.Others)/2]
		return
	}

	for i := range r.Processes {
		p := &r.Processes[i]
		p.Backtraces = half(p.Backtraces, false)
		p.Output = half(p.Output, true)
		p.Tree = p.Tree[:len(p.Tree)/2]
	}

	if r.size() == 0 {
		r.Others, r.Error = nil, ""
	}
}

func (r *Record) size() (n int) {
	for i := range r.Processes {
		n += len(r.Processes[i].Backtraces) + len(r.Processes[i].Output) + len(r.Processes[i].Tree)
	}

	return n
}

const cutLine = "... (cut)"

// half returns the beginning of lines, or the end of them, with a line that says so.
func half(lines []string, end bool) []string {
	n := len(lines) / 2
	switch {
	case n == 0:
		return nil
	case end:
		return append([]string{cutLine}, lines[len(lines)-n+1:]...)
	}

	return append(lines[:n-1:n-1], cutLine)
}
