package watchdog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

const (
	// feedbackFD is the agent's end of the socket, firstFileFD that of the first
	// file that is lent to it.
	feedbackFD  = 3
	firstFileFD = 4

	feedbackVariable = "PASSENGER_USE_FEEDBACK_FD"

	maxMessage = 4 << 20
)

// message is a line of JSON, of which one field counts.
type message struct {
	// Start is the first one to an agent.
	Start *startMessage `json:"start,omitempty"`
	// Ping asks for a Pong, to show that the agent does not hang.
	Ping bool `json:"ping,omitempty"`
	Pong bool `json:"pong,omitempty"`
	// Command is for an agent that serves.
	Command string `json:"command,omitempty"`
	// Ready is what an agent says of itself when it serves, Error why it
	// cannot.
	Ready json.RawMessage `json:"ready,omitempty"`
	Error string          `json:"error,omitempty"`
	// Details are more about Error, for those who asked for the start.
	Details json.RawMessage `json:"details,omitempty"`
	// Yielded reports whether the agent, which is being replaced, takes no more work.
	Yielded bool `json:"yielded,omitempty"`
	// Status is what an agent that serves says of how it is.
	Status json.RawMessage `json:"status,omitempty"`
	// Question asks for an Answer with the same ID.
	Question *question       `json:"question,omitempty"`
	Answer   *questionAnswer `json:"answer,omitempty"`
}

type question struct {
	ID int    `json:"id"`
	On string `json:"on"`
}

type questionAnswer struct {
	ID   int             `json:"id"`
	Body json.RawMessage `json:"body"`
}

type startMessage struct {
	Config   json.RawMessage `json:"config"`
	Protocol string          `json:"protocol,omitempty"`
	// Files are the names of the files from firstFileFD on.
	Files []string `json:"files"`
	// OOMScore is what /proc/self/oom_score_adj was before the watchdog
	// protected itself; empty means that it did not.
	OOMScore string `json:"oomScore,omitempty"`
}

// link is an end of the socket.
type link struct {
	conn net.Conn
	in   *bufio.Reader

	mu sync.Mutex // of writing
}

func newLink(f *os.File) (*link, error) {
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}

	return &link{conn: conn, in: bufio.NewReader(conn)}, nil
}

func (l *link) send(m *message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.conn.Write(append(b, '\n'))

	return err
}

var errLongMessage = fmt.Errorf("a message is longer than %d bytes", maxMessage)

func (l *link) receive() (*message, error) {
	var line []byte
	for {
		piece, err := l.in.ReadSlice('\n')

		line = append(line, piece...)
		switch {
		case err == nil:
			m := &message{}
			return m, json.Unmarshal(line, m)
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}

			return nil, err
		// An agent that has gone wrong must not fill the memory of the watchdog.
		case len(line) > maxMessage:
			return nil, errLongMessage
		}
	}
}

func (l *link) close() { _ = l.conn.Close() }
