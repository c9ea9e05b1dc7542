package agent

import (
	"bytes"
	"os"
	"sync"
)

// maxAtomic is how much Linux writes to a pipe in one piece, PIPE_BUF: what is longer may mix with what others write.
const maxAtomic = 4096

// pipe is something other than a file that logs are written to, such as a pipe or a socket.
type pipe struct {
	// writing is held while a piece is written: the writers of one program also keep long lines whole.
	writing sync.Mutex
	info    os.FileInfo
}

// pipes has each pipe once, under whatever descriptors. There are as many as a program is started with.
var pipes struct {
	sync.Mutex

	all []*pipe
}

// pipeOf returns what f is if it is no regular file, else nil: of those the system writes each piece as a whole.
func pipeOf(f *os.File) *pipe {
	info, err := f.Stat()
	if err != nil || info.Mode().IsRegular() {
		return nil
	}

	pipes.Lock()
	defer pipes.Unlock()

	for _, p := range pipes.all {
		if os.SameFile(p.info, info) {
			return p
		}
	}

	p := &pipe{info: info}
	pipes.all = append(pipes.all, p)

	return p
}

// write writes lines to f, so that they do not mix with those of other programs, such as the watchdog, or other logs.
// Of nothing, it writes all at once.
func (p *pipe) write(f *os.File, lines []byte) (n int, err error) {
	if p == nil {
		return f.Write(lines)
	}

	for n < len(lines) {
		written, err := p.writePiece(f, wholeLines(lines[n:]))

		n += written
		if err != nil {
			return n, err
		}
	}

	return n, nil
}

func (p *pipe) writePiece(f *os.File, piece []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	return f.Write(piece)
}

// wholeLines returns the lines at the beginning that can be written in one piece, at least one line.
func wholeLines(lines []byte) []byte {
	if len(lines) <= maxAtomic {
		return lines
	}

	if end := bytes.LastIndexByte(lines[:maxAtomic], '\n'); end >= 0 {
		return lines[:end+1]
	}

	if end := bytes.IndexByte(lines, '\n'); end >= 0 {
		return lines[:end+1]
	}

	return lines
}
