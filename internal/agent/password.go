package agent

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/ownfile"
	"github.com/gopassenger/passenger/internal/trustedpath"
)

const (
	// minPassword is how many characters a password must have: whoever can connect
	// to the socket may guess at it.
	minPassword     = 16
	maxPasswordFile = 1024
)

// loadPassword reads a file that no other user can read or could have made, or
// makes one. option is the one that names it.
func loadPassword(path, option string) (password string, made bool, err error) {
	if _, err := ownfile.CheckDirectory(filepath.Dir(path)); err != nil {
		return "", false, fmt.Errorf("cannot use the password file: %w", err)
	}

	password, err = readPassword(path)
	if errors.Is(err, fs.ErrNotExist) {
		password, made = rand.Text()+rand.Text(), true
		err = makePassword(path, password)
	}

	if err != nil {
		return "", false, fmt.Errorf("cannot use the password file: %w", withOption(err, option))
	}

	return password, made, nil
}

func readPassword(path string) (string, error) {
	// Another user could have made a link to a file whose contents they know.
	const flags = os.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	f, err := os.OpenFile(path, flags, 0) //nolint:gosec // G304: it is the operator's
	if errors.Is(err, unix.ELOOP) {
		return "", fmt.Errorf("%s is a symbolic link: name the file that it leads to", path)
	}

	if err != nil {
		return "", err
	}

	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}

	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a file", path)
	case trustedpath.Owner(info) != os.Geteuid():
		return "", fmt.Errorf("%s belongs to another user: make it yours with chown", path)
	case info.Mode().Perm()&0o077 != 0:
		// Another user may have read it already, so that another mode alone is not enough.
		return "", fmt.Errorf("%s is not only for you to read, its mode is %04o: chmod 600 %s, and choose a new "+
			"password", path, info.Mode().Perm(), path)
	}

	content, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	if err != nil {
		return "", err
	}

	password := strings.TrimRight(string(content), "\r\n")
	switch {
	case len(content) > maxPasswordFile:
		return "", fmt.Errorf("%s has more than %d bytes", path, maxPasswordFile)
	case len(password) < minPassword:
		return "", fmt.Errorf("the password in %s has fewer than %d characters: remove the file, and a good "+
			"one is made", path, minPassword)
	case strings.ContainsFunc(password, func(c rune) bool {
		return c <= ' ' || c > '~' ||
			strings.ContainsRune("\"'\\$", c)
	}):
		return "", fmt.Errorf("the password in %s has spaces, quotes, dollars, backslashes or what is not of ASCII, "+
			"which web servers' configurations change", path)
	}

	return password, nil
}

// makePassword makes the file as a whole or not at all.
func makePassword(path, password string) error {
	// Its mode is 0600.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}

	_, err = f.WriteString(password + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		// A link replaces no file that another start has just made.
		err = os.Link(f.Name(), path)
	}

	return errors.Join(err, os.Remove(f.Name()))
}

// secret compares passwords in a time that tells nothing of them.
type secret [sha256.Size]byte

func newSecret(password string) secret { return sha256.Sum256([]byte(password)) }

func (s *secret) is(password string) bool {
	// The digests have the same length whatever was given, so that the time does not tell the password's.
	given := sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(s[:], given[:]) == 1
}
