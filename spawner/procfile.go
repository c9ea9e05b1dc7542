package spawner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/ownfile"
)

// ProcfileLine is a line of a Procfile.
type ProcfileLine struct {
	// Number counts the lines of the file from 1.
	Number int
	// Name is that of the process, and Command what a shell would execute.
	Name, Command string
}

// ProcfileName is the name of the file that names the processes of an application.
const ProcfileName = "Procfile"

var procfileLine = lazy(`^([A-Za-z0-9_-]{1,32}):[ \t]*(\S.*)$`)

// ReadProcfile returns the lines of the Procfile in root, which may be a link that stays in root. Empty lines and those
// that begin with # do not count.
//
// Errors: those of reading the file, and one for each line that names no process, joined.
func ReadProcfile(root string) ([]ProcfileLine, error) {
	text, err := readInside(root, ProcfileName)
	if err != nil {
		return nil, fmt.Errorf("cannot read the Procfile in %s: %w", root, err)
	}

	return parseProcfile(text)
}

// readInside reads a file whose links stay in root, as this program may have more rights than the application's user.
func readInside(root, name string) (string, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return "", err
	}

	defer func() { _ = dir.Close() }()

	// One that is no regular file must not hold the start up.
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}

	defer func() { _ = f.Close() }()

	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, &fs.PathError{Op: "read", Path: name, Err: ownfile.ErrNotRegular})
	}

	text, err := io.ReadAll(io.LimitReader(f, maxDetectedFile+1))
	if err == nil && len(text) > maxDetectedFile {
		err = fmt.Errorf("it has more than %d bytes", maxDetectedFile)
	}

	return string(text), err
}

// parseProcfile returns the lines that are good beside the error.
func parseProcfile(text string) (lines []ProcfileLine, err error) {
	var errs []error

	number := 0

	seen := map[string]int{}
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		line = strings.TrimRight(line, " \t\r\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}

		m := procfileLine().FindStringSubmatch(line)
		switch {
		case m == nil || strings.ContainsRune(line, 0):
			errs = append(errs, fmt.Errorf("%s:%d: %q names no process: write it as worker: command, with a name of "+
				"at most 32 letters, digits, dashes and underscores", ProcfileName, number, shortened(line)))
		case seen[m[1]] > 0:
			errs = append(errs, fmt.Errorf("%s:%d: line %d names the process %q already: give it another name",
				ProcfileName, number, seen[m[1]], m[1]))
		default:
			seen[m[1]] = number
			lines = append(lines, ProcfileLine{Number: number, Name: m[1], Command: m[2]})
		}
	}

	return lines, errors.Join(errs...)
}

// shortened bounds what a message has of a line.
func shortened(line string) string {
	const maxShown = 80
	if len(line) <= maxShown {
		return line
	}

	return line[:maxShown] + "..."
}
