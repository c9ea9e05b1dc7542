package passenger

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/spawner"
)

// SnapshotSchema is the version of the JSON form of Snapshot. It grows when a field is removed or
// changes its meaning, not when one is added.
const SnapshotSchema = 1

// Snapshot is the state of a pool at one moment. It shares nothing with the pool or with other
// snapshots. Package status writes it in the forms of the original's tools.
type Snapshot struct {
	Schema  int       `json:"schema"`
	Version string    `json:"version"`
	At      time.Time `json:"at"`

	MaxPoolSize  int `json:"maxPoolSize"`
	CapacityUsed int `json:"capacityUsed"`
	// WaitingForCapacity are the names of applications without a process, once for each of their
	// gets, that wait because the pool is full.
	WaitingForCapacity []string `json:"waitingForCapacity"`
	// Groups are ordered by name.
	Groups []GroupSnapshot `json:"groups"`
}

// GroupSnapshot is the state of an application.
type GroupSnapshot struct {
	Name    string `json:"name"`
	AppRoot string `json:"appRoot"`
	// AppType is the configured type, or else the one that was detected: empty before the first
	// process, and for a start command.
	AppType     string `json:"appType"`
	Environment string `json:"environment"`
	// ReleaseRoot is AppRoot with links resolved, as it was when the present generation began;
	// empty before its first process.
	ReleaseRoot string `json:"releaseRoot"`
	// Releases are the directories of the present releases and of earlier ones.
	Releases ReleaseDirs `json:"releases"`
	// ReleaseMade is when the present generation began. UUID differs for each generation.
	ReleaseMade time.Time `json:"releaseMade"`
	UUID        string    `json:"uuid"`
	// UID and GID are the IDs the newest process runs or ran as; -1 before the first one.
	UID int `json:"uid"`
	GID int `json:"gid"`
	// APIKey gives the right to see and change this application and no other. It is not part of the
	// JSON form.
	APIKey string `json:"-"`
	// Generation counts the restarts.
	Generation uint32 `json:"generation"`
	// Restarting reports whether a restart is in progress.
	Restarting bool `json:"restarting"`
	// DeploymentError is why the last restart failed; nil if it did not.
	DeploymentError *DeploymentError `json:"deploymentError"`
	// LastSpawnError is the last failed spawn; nil if one has succeeded since.
	LastSpawnError *SpawnFailure `json:"lastSpawnError"`
	// QueueLength is the number of gets that wait.
	QueueLength int `json:"queueLength"`
	// DisableQueueLength is the number of calls that wait for a process to be disabled.
	DisableQueueLength int `json:"disableQueueLength"`
	// Spawning is the number of processes that are being started.
	Spawning int `json:"spawning"`
	// CapacityUsed is the number of processes that count against the limits.
	CapacityUsed int `json:"capacityUsed"`
	MinProcesses int `json:"minProcesses"`
	MaxProcesses int `json:"maxProcesses"`
	// Detached reports whether the application has left the pool, and only its last processes
	// remain.
	Detached bool `json:"detached"`
	// Counts are what has happened, and SpawnTimes how long the starts of processes took, since the
	// application came to the pool. SpawnTimes are not part of the JSON form.
	Counts     Counts    `json:"counts"`
	SpawnTimes Histogram `json:"-"`
	// Processes are the enabled ones, those that are being disabled, the disabled, and the detached
	// ones, each in the order of their attachment.
	Processes []ProcessSnapshot `json:"processes"`
	// Options are the present ones without App.Env, which may hold secrets. They are not part of
	// the JSON form.
	Options Options `json:"-"`
}

// ProcessSnapshot is the state of a process.
type ProcessSnapshot struct {
	PID      int          `json:"pid"`
	GUPID    string       `json:"gupid"`
	StickyID uint32       `json:"stickyId"`
	State    ProcessState `json:"state"`
	// Stopping reports whether it was asked to end, Exited whether it has.
	Stopping bool `json:"stopping"`
	Exited   bool `json:"exited"`
	// Generation is that of the group when it was started.
	Generation uint32 `json:"generation"`
	// ReleaseRoot is the directory it runs in, with links resolved; empty if unknown.
	ReleaseRoot string `json:"releaseRoot"`
	// Concurrency is the number of requests it takes at once; zero means no limit.
	Concurrency int `json:"concurrency"`
	Sessions    int `json:"sessions"`
	// LongSessions are those among Sessions that Session.MarkLong was called for: WebSockets and
	// streams of events.
	LongSessions int `json:"longSessions"`
	// AbandonedSessions are those among Sessions whose client has left while the process works: see
	// Session.Abandon.
	AbandonedSessions int `json:"abandonedSessions,omitzero"`
	// Busyness is the taken share of its concurrency, of 2^31-1, or the number of sessions if there
	// is no limit.
	Busyness uint64 `json:"busyness"`
	// Processed is the number of sessions that were closed.
	Processed uint64 `json:"processed"`
	// SpawnStarted and Spawned are when its spawn began and ended. LastUsed is when its last
	// session was closed, or it was attached.
	SpawnStarted time.Time `json:"spawnStarted"`
	Spawned      time.Time `json:"spawned"`
	LastUsed     time.Time `json:"lastUsed"`
	// Metrics are what the system reports about it; see Config.MetricsInterval.
	Metrics ProcessMetrics `json:"metrics"`
	// Sockets take requests. HTTPAddress is for people, with Password, which is not part of the
	// JSON form.
	Sockets     []SocketSnapshot `json:"sockets"`
	HTTPAddress string           `json:"httpAddress"`
	Password    string           `json:"-"`
}

// ProcessState is the state of a process.
type ProcessState = string

// The states.
const (
	// ProcessEnabled gets requests.
	ProcessEnabled ProcessState = "enabled"
	// ProcessDisabling gets none, unless no process is enabled, and has some to finish.
	ProcessDisabling ProcessState = "disabling"
	// ProcessDisabled gets no requests and has none.
	ProcessDisabled ProcessState = "disabled"
	// ProcessDetached has left the pool and ends when its requests are finished.
	ProcessDetached ProcessState = "detached"
)

// Group returns the application of this group name, the first if there are several, or nil.
func (s Snapshot) Group(name string) *GroupSnapshot {
	for i := range s.Groups {
		if s.Groups[i].Name == name {
			return &s.Groups[i]
		}
	}

	return nil
}

// Process returns the process with this GUPID or PID, or nil.
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

// SpawnFailure is a failed spawn.
type SpawnFailure struct {
	At time.Time `json:"at"`
	// Summary is one sentence. ID is the error ID, which the log has as well.
	Summary string `json:"summary"`
	ID      string `json:"id"`
	Err     error  `json:"-"`
}

// Inspect returns the state of the pool.
func (p *Pool) Inspect() Snapshot {
	return p.inspect(func(*group) bool { return true })
}

// InspectApps is Inspect without the applications that have none of these API keys. MaxPoolSize and
// CapacityUsed are those of the whole pool.
func (p *Pool) InspectApps(apiKeys []string) Snapshot {
	shown := make(map[string]bool, len(apiKeys))
	for _, key := range apiKeys {
		shown[key] = true
	}

	return p.inspect(func(g *group) bool { return shown[g.apiKey] })
}

func (p *Pool) inspect(shown func(*group) bool) Snapshot {
	// Sorted without the lock, which requests wait for.
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

// AppIdentity identifies an application and its owner. Its fields are those of GroupSnapshot.
type AppIdentity struct {
	Name   string
	UID    int
	APIKey string
}

// Identities returns the identities of all applications, in any order. It costs a fraction of
// Inspect.
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
		Counts:          g.counts.Counts,
		SpawnTimes:      g.counts.spawns.Inspect(),
		Options:         g.opts.clone(),
		Processes:       []ProcessSnapshot{},
	}

	// A snapshot is shown to people and written to files.
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
		LongSessions: pr.longSessions,

		AbandonedSessions: len(pr.abandoned),

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
		// By its name, as the original's tools find it.
		if addr, tcp := strings.CutPrefix(s.Sockets[i].Address, "tcp://"); tcp && s.Sockets[i].Name == "http" {
			s.HTTPAddress = addr
		}
	}

	return s
}
