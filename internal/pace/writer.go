package pace

import (
	"errors"
	"io"
	"net/http"
)

// Piece is how much of a file is written in one step: little enough that a slow client takes it in time.
const Piece = 32 << 10

// wholeFile is up to which size a file is written in one step, with the time of its pieces: in two steps, one of 64 KB
// had a 99th percentile about three times as long.
const wholeFile = 128 << 10

// Pieces returns how many times the time for one piece a step of this size may take.
func Pieces(bytes int) int { return max((bytes+Piece-1)/Piece, 1) }

// Writer writes a response in pieces, for each of which Begin and End are called, so that a client
// that stops reading is
// noticed. It is what [http.ServeContent] gets.
type Writer struct {
	http.ResponseWriter
	// Begin gets the number of bytes that come next.
	Begin func(bytes int)
	End   func(bytes int64, err error)
}

// Unwrap is for [http.ResponseController].
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write writes p in one step.
func (w *Writer) Write(p []byte) (int, error) {
	w.Begin(len(p))
	n, err := w.ResponseWriter.Write(p)
	w.End(int64(n), err)

	return n, err
}

// ReadFrom lets the kernel copy a file, where it can.
func (w *Writer) ReadFrom(r io.Reader) (total int64, err error) {
	// The kernel takes a file, or a part of one, but not a part of a part.
	whole, limited := r.(*io.LimitedReader)
	if !limited {
		whole = &io.LimitedReader{R: r, N: 1<<63 - 1}
	}

	step := int64(Piece)
	if whole.N <= wholeFile {
		step = wholeFile
	}

	for whole.N > 0 {
		piece := &io.LimitedReader{R: whole.R, N: min(whole.N, step)}
		want := piece.N
		w.Begin(int(want))
		n, err := io.Copy(w.ResponseWriter, piece)
		w.End(n, err)

		total += n
		whole.N -= n
		if err != nil {
			return total, err
		}

		if n < want {
			break
		}
	}

	return total, nil
}

// Failed reports whether an error of writing means that the client did not get it.
func Failed(err error) bool { return err != nil && !errors.Is(err, http.ErrBodyNotAllowed) }
