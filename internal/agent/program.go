package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/gopassenger/passenger/internal/trustedpath"
)

// Executable is this program, whatever has become of its file; without /proc, its
// name.
func Executable() string {
	if _, err := os.Stat(ownProgram); err == nil {
		return ownProgram
	}

	return os.Args[0]
}

const ownProgram = "/proc/self/exe"

// program is what cores are started from: the file that this program was started from
// or, after a reload, the one that has taken its place, which is held open, so that
// whatever happens to the file later, a core that dies is replaced by its like.
type program struct {
	// path is where an upgrade puts the file; empty means unknown.
	path string
	// file is what cores run; nil means this program.
	file *os.File
}

// newProgram looks for the name by which this program was started, before any link in
// it is followed: an upgrade may switch the link.
func newProgram() *program {
	own, err := os.Stat(ownProgram)
	if err != nil {
		return &program{}
	}

	named, err := exec.LookPath(os.Args[0])
	if err == nil {
		named, err = filepath.Abs(named)
	}

	if err == nil {
		if info, err := os.Stat(named); err == nil && //nolint:gosec // G703: it is compared with what runs
			os.SameFile(info, own) {
			return &program{path: named}
		}
	}

	resolved, _ := os.Executable() // empty means unknown

	return &program{path: resolved}
}

// executable is what to execute for a core of file; nil means this program.
func executable(file *os.File) string {
	if file == nil {
		return Executable()
	}

	return descriptorPath(file)
}

// successor returns the program that has taken the place of the one that cores run,
// held open, or nil if none has: the file is the same, or missing.
func (p *program) successor() (_ *os.File, err error) {
	if p.path == "" {
		return nil, nil
	}

	next, err := holdProgram(p.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errors.ErrUnsupported):
		return nil, nil
	case err != nil:
		return nil, p.refused(err)
	}

	defer func() {
		if err != nil {
			_ = next.Close()
		}
	}()

	info, err := next.Stat()
	if err != nil {
		return nil, p.refused(err)
	}

	current, err := p.current()
	if err != nil {
		return nil, p.refused(err)
	}

	// A reload without an upgrade.
	if os.SameFile(info, current) {
		return nil, next.Close()
	}

	return next, p.check(next, info)
}

// current is the file that cores run.
func (p *program) current() (fs.FileInfo, error) {
	if p.file != nil {
		return p.file.Stat()
	}

	return os.Stat(ownProgram)
}

// check refuses what root should not run, because another user could have put it there.
func (p *program) check(next *os.File, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return p.refused(errors.New("it is not an executable file"))
	case os.Geteuid() != 0:
		return nil
	}

	// The path counts as well: root's own file may be a tenant's second name for another program.
	err := trustedpath.CheckOpen(next, 0)
	if err == nil {
		err = trustedpath.CheckFile(p.path, 0)
	}

	if err != nil {
		return p.refused(fmt.Errorf("as root it must belong to root, and no other user may write to it or replace "+
			"it: %w",
			err))
	}

	return nil
}

// refused says what to do about a new program that cannot be used.
func (p *program) refused(err error) error {
	return fmt.Errorf("the new program %s cannot take over: %w: install it again, or the one before it, and reload",
		p.path, err)
}

// use makes cores run file from now on; nil means the one before.
func (p *program) use(file *os.File) {
	if file == nil {
		return
	}

	// The file before it, which no core will need.
	_ = p.close()
	p.file = file
}

func (p *program) close() error {
	if p == nil || p.file == nil {
		return nil
	}

	err := p.file.Close()
	p.file = nil

	return err
}
