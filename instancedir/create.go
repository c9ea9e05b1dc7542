package instancedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/filelock"
	"github.com/gopassenger/passenger/internal/randtext"
)

// maxTries is how many names may be taken already.
const maxTries = 250

// Config says what instance a directory is made for.
type Config struct {
	// Registry is the directory to make it in, which must be there. Others may
	// not be able to replace what is in it: neither it nor what leads to it may
	// be writable to them, unless it has the sticky bit, and all must belong to
	// root or, unless we are root, to us. Empty means DefaultRegistry(os.Getenv),
	// which is made if it is in /run.
	Registry string
	// Version is that of Passenger, IntegrationMode for example "standalone",
	// ServerSoftware is what serves requests, and StandaloneEngine what does in the
	// integration mode standalone. All are for people to read. The first three
	// are needed.
	Version, IntegrationMode, ServerSoftware, StandaloneEngine string
	// AppRoots and Addresses are for people, too: everybody on this host can read
	// them. What cannot be printed is left out.
	AppRoots, Addresses []string
	// UserSwitching reports whether applications run as other users, each of which makes its
	// sockets. It means nothing for others than root.
	UserSwitching bool
	// UID and GID own the directory of the applications' sockets and the
	// files with passwords belong to, as root without user switching; else they
	// mean nothing.
	UID, GID int
}

// Validate names every fault.
func (c *Config) Validate() error {
	var errs []error
	for _, field := range []struct {
		name, value string
		needed      bool
	}{
		{"Version", c.Version, true},
		{"IntegrationMode", c.IntegrationMode, true},
		{"ServerSoftware", c.ServerSoftware, true},
		{"StandaloneEngine", c.StandaloneEngine, false},
	} {
		if field.needed && field.value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", field.name))
		}

		errs = append(errs, validateText(field.name, field.value))
	}

	if c.UID < 0 || c.GID < 0 {
		errs = append(errs, fmt.Errorf("UID %d and GID %d must not be negative", c.UID, c.GID))
	}

	return errors.Join(errs...)
}

// access has the owner of the entries that only some users may read.
type access struct {
	agentSockets, appSockets, passwords ownership
}

func (c *Config) access() access {
	switch {
	case os.Geteuid() != 0:
		return access{agentSockets: mine(0o700), appSockets: mine(0o700), passwords: mine(0o600)}
	case c.UserSwitching:
		// Each user makes sockets, and neither sees nor removes those of others.
		return access{agentSockets: mine(0o755), appSockets: mine(0o733 | fs.ModeSticky), passwords: mine(0o600)}
	default:
		return access{
			agentSockets: mine(0o755),
			appSockets:   ownership{mode: 0o711, uid: c.UID, gid: c.GID},
			passwords:    ownership{mode: 0o400, uid: c.UID, gid: c.GID},
		}
	}
}

// Create makes an instance directory and locks it. Tools do not show it before
// Finalize. Nothing is left when it fails, for which the error has the reason.
func Create(cfg Config) (*Dir, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot create an instance directory: %w", err)
	}

	registry, err := chooseRegistry(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("cannot create an instance directory: %w", err)
	}

	d, err := createIn(registry, &cfg, func() string { return prefix + randtext.Alphanumeric(suffixLength) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot create an instance directory: %w", err), registry.Close())
	}

	return d, nil
}

func chooseRegistry(configured string) (directory, error) {
	if configured == "" {
		configured = DefaultRegistry(os.Getenv)
		if err := host().makeRegistry(configured); err != nil {
			return directory{}, err
		}
	}

	registry, err := openRegistry(configured)
	if err != nil {
		return registry, err
	}

	// Too long a path would fail the start of each application, where the reason is hard to see.
	longest := filepath.Join(registry.Name(), prefix) + "/"
	if n := len(longest) + suffixLength + longestSocket; n > maxSocketPath {
		err := fmt.Errorf("the path of the registry directory %s is too long by %d bytes for the Unix sockets below "+
			"it: choose a shorter one", registry.Name(), n-maxSocketPath)
		return directory{}, errors.Join(err, registry.Close())
	}

	return registry, nil
}

func createIn(registry directory, cfg *Config, newName func() string) (*Dir, error) {
	for range maxTries {
		name := newName()
		err := registry.mkdir(name)
		// Whatever is there is not used, as its owner may have put something into it.
		if errors.Is(err, fs.ErrExist) {
			continue
		}

		if err != nil {
			return nil, err
		}

		// In case that, against what openRegistry found out, another user could
		// replace it: it is not theirs to be filled.
		dir, err := registry.openOwnDirectory(name)
		if err != nil {
			return nil, errors.Join(err, registry.Rmdir(name))
		}

		var st unix.Stat_t
		if err := unix.Fstat(dir.FD(), &st); err != nil || int(st.Uid) != os.Geteuid() {
			_ = dir.Close()
			continue
		}

		d := &Dir{
			registry: registry,
			dir:      dir,
			name:     name,
			id:       idOf(&st),
		}
		if err := d.fill(cfg); err != nil {
			return nil, errors.Join(err, d.remove(), d.dir.Close(), d.closeLock())
		}

		return d, nil
	}

	return nil, fmt.Errorf("in %s all of %d names are taken: remove the directories %s* that are not in use",
		registry.Name(), maxTries, prefix)
}

// fill makes all entries that there are before the end of the creation.
func (d *Dir) fill(cfg *Config) (err error) {
	access := cfg.access()
	// Closed to others until each entry has its owner and mode.
	if err := mine(0o700).give(d.dir.File); err != nil {
		return err
	}

	if d.lock, err = createLock(d.dir); err != nil {
		return err
	}

	// What cleans up /tmp may leave locked directories alone.
	if _, err := filelock.Try(d.dir.File, filelock.Exclusive); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}

	d.readOnlyPassword, d.fullPassword = randtext.Alphanumeric(passwordLength), randtext.Alphanumeric(passwordLength)
	properties, err := encodeProperties(newProperties(cfg))
	if err != nil {
		return err
	}

	for _, f := range []struct {
		name    string
		content []byte
		to      ownership
	}{
		{readOnlyPasswordName, []byte(d.readOnlyPassword), access.passwords},
		{fullPasswordName, []byte(d.fullPassword), access.passwords},
		{pidName(Watchdog), []byte(strconv.Itoa(os.Getpid())), mine(0o644)},
		{propertiesName, properties, mine(0o644)},
	} {
		if err := d.dir.create(f.name, f.content, f.to); err != nil {
			return err
		}
	}

	if err := d.dir.createDirectory(agentSocketsName, access.agentSockets); err != nil {
		return err
	}

	if err := d.dir.createDirectory(appSocketsName, access.appSockets); err != nil {
		return err
	}

	if err := d.remember(); err != nil {
		return err
	}

	return mine(0o755).give(d.dir.File)
}

func encodeProperties(p *Properties) ([]byte, error) {
	content, err := json.MarshalIndent(p, "", "  ")
	return append(content, '\n'), err
}

func newProperties(cfg *Config) *Properties {
	p := &Properties{
		InstanceDir: Structure{
			MajorVersion: majorVersion,
			MinorVersion: minorVersion,
			CreatedAt:    time.Now().Unix(),
		},
		PassengerVersion: cfg.Version,
		WatchdogPID:      os.Getpid(),
		Name:             randtext.Alphanumeric(8),
		InstanceID:       randtext.Alphanumeric(6) + "-" + randtext.Alphanumeric(6) + "-" + randtext.Alphanumeric(6),
		IntegrationMode:  cfg.IntegrationMode,
		ServerSoftware:   cfg.ServerSoftware,
		StandaloneEngine: cfg.StandaloneEngine,
		AppRoots:         shown(cfg.AppRoots),
		Addresses:        shown(cfg.Addresses),
	}
	var clock unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &clock) == nil {
		p.InstanceDir.CreatedAtMonotonic = clock.Nano() / int64(time.Microsecond)
	}

	return p
}
