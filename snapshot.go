package passenger

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/spawner"
)

// SnapshotSchema is the version of Snapshot's form as JSON. It grows when a
// field changes its meaning or goes, not when one is added.
const SnapshotSchema = 1

// Snapshot is the state of a pool at one moment. It shares nothing with the
// pool nor with other snapshots. Package status writes it in the forms of the original's tools.
type Snapshot struct {
	Schema  int       `json:"schema"`
	Version string    `json:"version"`
	At      time.Time `json:"at"`

	MaxPoolSize  int `json:"maxPoolSize"`
	CapacityUsed int `json:"capacityUsed"`
	// WaitingForCapacity are the names of the applications of the gets that
	// wait because the pool is full and their application has no process.
	WaitingForCapacity []string `json:"waitingForCapacity"`
	// Groups are ordered by name.
	Groups []GroupSnapshot `json:"groups"`
}

// GroupSnapshot is the state of an application.
type GroupSnapshot struct {
	Name    string `json:"name"`
	AppRoot string `json:"appRoot"`
	// AppType is the configured type, or else what the processes were found to be: empty
	// before the first one, and for a start command.
	AppType     string `json:"appType"`
	Environment string `json:"environment"`
	// ReleaseRoot is where the links led that AppRoot may consist of, when the
	// present generation began; empty until it has started a process.
	ReleaseRoot string `json:"releaseRoot"`
	// Releases are the directories of the releases that processes run in, and of those before.
	Releases ReleaseDirs `json:"releases"`
	// ReleaseMade is when the present generation began, and UUID is another
	// one for each.
	ReleaseMade time.Time `json:"releaseMade"`
	UUID        string    `json:"uuid"`
	// UID and GID are whom the newest process runs as, or did; -1: there was none
	// yet.
	UID int `json:"uid"`
	GID int `json:"gid"`
	// APIKey lets whoever knows it see and change the application, and is no
	// other's. It is not part of the JSON form.
	APIKey string `json:"-"`
	// Generation counts the restarts.
	Generation uint32 `json:"generation"`
	// Restarting: a restart goes on.
	Restarting bool `json:"restarting"`
	// DeploymentError is why the last restart was called off; nil: it was not.
	DeploymentError *DeploymentError `json:"deploymentError"`
	// LastSpawnError is why the last process that did not start did not;
	// nil: one has started since.
	LastSpawnError *SpawnFailure `json:"lastSpawnError"`
	// QueueLength counts the gets that wait.
	QueueLength int `json:"queueLength"`
	// DisableQueueLength counts the calls that wait for a process to be
	// disabled.
	DisableQueueLength int `json:"disableQueueLength"`
	// Spawning counts the processes that are being started.
	Spawning int `json:"spawning"`
	// CapacityUsed counts the processes that the limits bound.
	CapacityUsed int `json:"capacityUsed"`
	MinProcesses int `json:"minProcesses"`
	MaxProcesses int `json:"maxProcesses"`
	// Detached: the application has left the pool, and its last processes end.
	Detached bool `json:"detached"`
	// Processes are those that take requests, those that are being disabled,
	// disabled ones, and those that are being stopped, each in the order in which
	// they were attached.
	Processes []ProcessSnapshot `json:"processes"`
	// Options are the present ones, but for App.Env, which may hold secrets.
	// They are not part of the JSON form.
	Options Options `json:"-"`
}

// ProcessSnapshot is the state of a process.
type ProcessSnapshot struct {
	PID      int          `json:"pid"`
	GUPID    string       `json:"gupid"`
	StickyID uint32       `json:"stickyId"`
	State    ProcessState `json:"state"`
	// Stopping: it was told to end. Exited: it has.
	Stopping bool `json:"stopping"`
	Exited   bool `json:"exited"`
	// Generation is the group's when it was started.
	Generation uint32 `json:"generation"`
	// ReleaseRoot is the directory that it runs in, behind the links that lead there; empty if it is not known.
	ReleaseRoot string `json:"releaseRoot"`
	// Concurrency is how many requests it takes at once; 0: no limit.
	Concurrency int `json:"concurrency"`
	Sessions    int `json:"sessions"`
	// Busyness is the share of its concurrency that is taken, of 2^31-1, or
	// its sessions where there is no limit.
	Busyness uint64 `json:"busyness"`
	// Processed counts the sessions that were closed.
	Processed uint64 `json:"processed"`
	// SpawnStarted and Spawned are when its start began and ended, LastUsed
	// when its last session was closed, or else when it was attached.
	SpawnStarted time.Time `json:"spawnStarted"`
	Spawned      time.Time `json:"spawned"`
	LastUsed     time.Time `json:"lastUsed"`
	// Metrics are what the system knows of it; see Config.MetricsInterval.
	Metrics ProcessMetrics `json:"metrics"`
	// Sockets take requests; HTTPAddress is for people, with Password, which
	// is not part of the JSON form.
	Sockets     []SocketSnapshot `json:"sockets"`
	HTTPAddress string           `json:"httpAddress"`
	Password    string           `json:"-"`
}

// ProcessState says whether a process takes requests.
type ProcessState = string

// The states.
const (
	// ProcessEnabled takes requests.
	ProcessEnabled ProcessState = "enabled"
	// ProcessDisabling takes none, unless there is no other, and has some to finish.
	ProcessDisabling ProcessState = "disabling"
	// ProcessDisabled takes and has none.
	ProcessDisabled ProcessState = "disabled"
	// ProcessDetached has left the pool and ends when its requests are finished.
	ProcessDetached ProcessState = "detached"
)

// Group returns the application of this group name, the first if there are several, or
// nil.
func (s Snapshot) Group(name string) *GroupSnapshot {
	for i := range s.Groups {
		if s.Groups[i].Name == name {
			return &s.Groups[i]
		}
	}

	return nil
}

// Process returns the process with this GUPID or pid, or nil.
func (s Snapshot) Process(id string) *ProcessSnapshot {
	for i := range s.Groups {
		for j := range s.Groups[i].Processes {
			if pr := &s.Groups[i].Processes[j]; pr.GUPID == id || strconv.Itoa(pr.PID) == id {
				return pr
			}
		}
	}

	return nil
}

// SocketSnapshot is the state of a socket.
type SocketSnapshot struct {
	Name        string           `json:"name"`
	Address     string           `json:"address"`
	Protocol    spawner.Protocol `json:"protocol"`
	Concurrency int              `json:"concurrency"`
	Sessions    int              `json:"sessions"`
}

// SpawnFailure is a spawn that failed.
type SpawnFailure struct {
	At time.Time `json:"at"`
	// Summary is one sentence, ID stands in the log as well.
	Summary string `json:"summary"`
	ID      string `json:"id"`
	Err     error  `json:"-"`
}

// MarshalJSON writes what went wrong, and when.
func (e *DeploymentError) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Message string    `json:"message"`
		At      time.Time `json:"at"`
	}{e.message(), e.At})
}

// message is without what the name of the type says.
func (e *DeploymentError) message() string {
	if e.Err == nil {
		return ""
	}

	return redact.Text(e.Err.Error())
}

// Inspect returns the state of the pool.
func (p *Pool) Inspect() Snapshot {
	return p.inspect(func(*group) bool { return true })
}

// InspectApps is Inspect without the applications that have none of these API
// keys, and those who wait for them. MaxPoolSize and CapacityUsed are those of
// the whole pool.
func (p *Pool) InspectApps(apiKeys []string) Snapshot {
	shown := make(map[string]bool, len(apiKeys))
	for _, key := range apiKeys {
		shown[key] = true
	}

	return p.inspect(func(g *group) bool { return shown[g.apiKey] })
}

func (p *Pool) inspect(shown func(*group) bool) Snapshot {
	s := p.inspectUnordered(shown)
	slices.SortFunc(s.Groups, func(a, b GroupSnapshot) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.AppRoot, b.AppRoot))
	})

	return s
}

func (p *Pool) inspectUnordered(shown func(*group) bool) Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()

	s := Snapshot{
		Schema:             SnapshotSchema,
		Version:            Version,
		At:                 time.Now(),
		MaxPoolSize:        p.cfg.MaxPoolSize,
		CapacityUsed:       p.capacityUsed,
		WaitingForCapacity: []string{},
	}
	for g := range p.starving.all {
		if !shown(g) {
			continue
		}

		for range g.queue.len() {
			s.WaitingForCapacity = append(s.WaitingForCapacity, g.name)
		}
	}

	n := 0
	for g := range p.allGroups {
		if shown(g) {
			n++
		}
	}

	s.Groups = make([]GroupSnapshot, 0, n)
	for g := range p.allGroups {
		if shown(g) {
			s.Groups = append(s.Groups, g.inspect())
		}
	}

	return s
}

// AppIdentity says whose an application is. Its fields are those of
// GroupSnapshot.
type AppIdentity struct {
	Name   string
	UID    int
	APIKey string
}

// Identities returns those of all applications, in no order, as Inspect would,
// for a fraction of its cost.
func (p *Pool) Identities() []AppIdentity {
	p.mu.Lock()
	defer p.mu.Unlock()

	all := make([]AppIdentity, 0, len(p.groups)+len(p.leaving))
	for g := range p.allGroups {
		all = append(all, g.identity())
	}

	return all
}

func (g *group) identity() AppIdentity {
	return AppIdentity{Name: g.name, UID: g.uid, APIKey: g.apiKey}
}

func (g *group) inspect() GroupSnapshot {
	s := GroupSnapshot{
		Name:            g.name,
		AppRoot:         g.opts.App.Root,
		AppType:         cmp.Or(g.opts.App.Type, g.appType),
		Environment:     g.opts.App.Environment,
		ReleaseRoot:     g.release.root,
		Releases:        g.knownReleaseDirs().clone(),
		ReleaseMade:     g.release.made,
		UUID:            g.release.uuid,
		UID:             g.uid,
		GID:             g.gid,
		APIKey:          g.apiKey,
		Generation:      g.release.generation,
		Restarting:      g.restart != nil,
		DeploymentError: copyOf(g.deploymentError),
		LastSpawnError:  copyOf(g.lastFailure),
		QueueLength:     g.queueLength(),
		Spawning:        len(g.attempts),
		CapacityUsed:    g.capacityUsed(),
		MinProcesses:    g.opts.MinProcesses,
		MaxProcesses:    g.opts.MaxProcesses,
		Detached:        g.removed,
		Options:         g.opts.clone(),
		Processes:       []ProcessSnapshot{},
	}
	s.Options.App.Env = nil
	for i, word := range s.Options.App.StartCommand {
		s.Options.App.StartCommand[i] = redact.Text(word)
	}

	s.Options.App.StartupFile = cmp.Or(g.opts.App.StartupFile, g.startupFile)
	for _, l := range g.lists() {
		processes := slices.SortedFunc(l.all, func(a, b *process) int { return cmp.Compare(a.seq, b.seq) })
		for _, pr := range processes {
			s.DisableQueueLength += len(pr.onDisabled)
			s.Processes = append(s.Processes, pr.inspect())
		}
	}

	return s
}

// copyOf returns a pointer to a copy; nil stays nil.
func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}

	c := *p

	return &c
}

func (pr *process) inspect() ProcessSnapshot {
	s := ProcessSnapshot{
		PID:          pr.info.PID,
		GUPID:        pr.info.GUPID,
		StickyID:     pr.stickyID,
		State:        pr.state.String(),
		Stopping:     pr.stopping,
		Exited:       pr.exited,
		Generation:   pr.generation,
		ReleaseRoot:  pr.root,
		Concurrency:  pr.concurrency,
		Sessions:     pr.sessions,
		Busyness:     pr.busyness(),
		Processed:    pr.processed,
		SpawnStarted: pr.info.SpawnStarted,
		Spawned:      pr.info.SpawnEnded,
		LastUsed:     pr.group.pool.epoch.Add(pr.lastUsed),
		Password:     pr.info.ConnectPassword,
		Metrics:      pr.metrics,
	}
	for i := range pr.sockets {
		sock := &pr.sockets[i]
		s.Sockets = append(s.Sockets, SocketSnapshot{
			Name:        sock.spec.Name,
			Address:     sock.spec.Address.String(),
			Protocol:    sock.spec.Protocol,
			Concurrency: sock.concurrency,
			Sessions:    sock.sessions,
		})
	}

	for _, other := range pr.info.OtherSockets {
		s.Sockets = append(s.Sockets, SocketSnapshot{
			Name:        other.Name,
			Address:     other.Address.String(),
			Protocol:    other.Protocol,
			Concurrency: other.Concurrency,
		})
	}

	for i := range s.Sockets {
		if addr, tcp := strings.CutPrefix(s.Sockets[i].Address, "tcp://"); tcp && s.Sockets[i].Name == "http" {
			s.HTTPAddress = addr
		}
	}

	return s
}
