package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
)

// quick is how many times faster the played cluster's seconds are than real ones.
const quick = 10

func seconds(n int) time.Duration { return time.Duration(n) * time.Second / quick }

// pod is a container as the Deployment describes it: the process 1 of namespaces of
// its own, of its user, with a root file system that it cannot write to, volumes and
// an environment. Addresses and times are other ones: all pods are on this host.
type pod struct {
	*server
	t         testing.TB
	name      string
	spec      *podSpec
	container *containerSpec
	// address is where the port http is, metrics where the probes go.
	address, metrics string
	// stopProbes ends the probes; probed is closed then.
	stopProbes context.CancelFunc
	probed     chan struct{}
}

// The image's directories, which are mounted below one that is empty on this host.
const (
	imageDir    = "/mnt"
	imageBin    = imageDir + "/bin"
	imageApp    = "/srv/app"
	imageTmp    = "/tmp"
	passengerIn = imageBin + "/passenger"
	tenantIn    = imageBin + "/tenant"
)

// image makes the application's directory of an image. The program of this test is in
// each image, as tenantIn.
func image(t testing.TB, passengerfile string, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))

	for i := 0; i+1 < len(files); i += 2 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o644))
	}

	path := filepath.Join(dir, "Passengerfile.json")
	require.NoError(t, os.WriteFile(path, []byte(passengerfile), 0o644))

	return dir
}

// goImage is the image of a release of this test's application.
func goImage(t testing.TB, release string) string {
	t.Helper()

	return image(t, fmt.Sprintf(`{
		"start_command": [%q],
		"envvars": {%q: "1", "GORACE": "atexit_sleep_ms=0", "RELEASE": %q}
	}`, tenantIn, appVar, release))
}

// podScript is what prepares a container: $1 is its volumes' directory, $2 that of the
// programs, $3 the application's, $4 the registry's place and $5 the user.
const podScript = `
mount --make-rprivate /
mount -t tmpfs none ` + imageDir + `
mkdir -p ` + imageBin + ` ` + imageDir + `/volumes
mount --bind "$2" ` + imageBin + `
mount --bind "$1" ` + imageDir + `/volumes
mount -t tmpfs none /srv
mkdir ` + imageApp + `
mount --bind "$3" ` + imageApp + `
mount -t tmpfs none /run
mkdir "$4"
mount --bind ` + imageDir + `/volumes/registry "$4"
mount --bind "$1/buffers" ` + imageTmp + `
mount -t proc none /proc
for dir in / ` + imageDir + ` ` + imageBin + ` /srv ` + imageApp + ` /run; do
	mount -o remount,bind,ro "$dir"
done
cd ` + imageApp + `
user=$5
shift 5
`

const inPod = `exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs ` +
	`--bounding-set=-all --inh-caps=-all "$@"`

// requirePods ends the test where there can be no namespaces.
func requirePods(t testing.TB) {
	t.Helper()
	requirePrepared(t, "mount --make-rprivate /; mount -t tmpfs none "+imageDir)
}

// newPod starts a container of the Deployment with an image's directory.
func newPod(t testing.TB, name, image string, change ...func(*exec.Cmd)) *pod {
	t.Helper()
	requirePods(t)
	d := readObject[deployment](t, "deployment.yaml")
	p := &pod{
		t:      t,
		name:   name,
		spec:   &d.Spec.Template.Spec,
		probed: make(chan struct{}),
	}
	p.container = &p.spec.Containers[0]
	p.server = &server{sandbox: newFlyingSandbox(t)}
	programs, err := tenantBinary()
	require.NoError(t, err)
	require.Equal(t, "tenant", filepath.Base(programs))

	// As a kubelet makes them: all may write, and in memory the sticky bit is set.
	registry := p.container.env(t, "PASSENGER_INSTANCE_REGISTRY_DIR")
	for _, v := range p.spec.Volumes {
		mode := os.FileMode(0o777)
		if v.EmptyDir.Medium == "Memory" {
			mode |= os.ModeSticky
		}

		dir := filepath.Join(p.volumes(), v.Name)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.Chmod(dir, mode))
	}

	require.True(t, slices.ContainsFunc(p.container.VolumeMounts, func(m struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	},
	) bool {
		return m.Name == "registry" && m.MountPath == registry
	}))

	p.address, p.metrics = "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	p.url = "http://" + p.address
	p.Cmd = exec.CommandContext(context.WithoutCancel(t.Context()), "/bin/sh")
	p.Cmd.Args = append([]string{
		"sh", "-ec", podScript + inPod, "sh",
		p.volumes(), filepath.Dir(programs), image, registry, strconv.Itoa(p.spec.SecurityContext.RunAsUser),
		passengerIn,
	}, p.container.Args...)
	p.Cmd.Env = p.environment()
	p.Cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}

	p.Cmd.WaitDelay = patience
	for _, f := range change {
		f(p.Cmd)
	}

	p.run(t)

	return p
}

func (p *pod) volumes() string { return filepath.Join(p.Dir, "volumes") }

// environment is the Deployment's, with the addresses and times of the play.
func (p *pod) environment() []string {
	_, port, _ := strings.Cut(p.address, ":")
	env := make([]string, 0, 5+len(p.container.Env))

	env = append(env, "PATH="+os.Getenv("PATH"), "LANG=C.UTF-8", p.Marker, "PASSENGER_ADDRESS=127.0.0.1",
		"PASSENGER_PORT="+port)
	for _, e := range p.container.Env {
		value := e.Value
		switch e.Name {
		case "PASSENGER_METRICS_ADDRESS":
			value = p.metrics
		case "PASSENGER_DRAIN_DELAY":
			value = strconv.Itoa(p.container.number(p.t, e.Name) / quick)
		}

		env = append(env, e.Name+"="+value)
	}

	return env
}

// exec runs a program in the container, as its user: what kubectl exec, preStop and
// HEALTHCHECK do.
func (p *pod) exec(ctx context.Context, argv ...string) (output string, err error) {
	user := strconv.Itoa(p.spec.SecurityContext.RunAsUser)
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{
		"--target", strconv.Itoa(p.Cmd.Process.Pid), "--mount", "--pid", "--", "setpriv", "--reuid", user, "--regid",
		user, "--clear-groups",
	}, argv...)...)
	cmd.Env = append(p.environment(), "PATH="+imageBin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()

	return string(out), err
}

// probe asks as a kubelet does, and returns nil for success.
func (p *pod) probe(ctx context.Context, by *probe) error {
	// A busy machine is no reason for a failure here, unlike a second there.
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.metrics+by.HTTPGet.Path, nil)
	if err != nil {
		return err
	}

	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("%s: %s", by.HTTPGet.Path, resp.Status)
	}

	return nil
}

// observer gets what the readiness probes find out, each time.
type observer func(p *pod, ready bool)

// watch probes until the pod ends or stopProbes is called. As in a cluster,
// readiness and liveness are looked at when the startup probe has succeeded.
func (p *pod) watch(tell observer) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	p.stopProbes = cancel
	go func() {
		defer close(p.probed)
		started := false

		failed := 0
		for {
			by := &p.container.ReadinessProbe
			if !started {
				by = &p.container.StartupProbe
			}

			err := p.probe(ctx, by)
			if ctx.Err() != nil {
				return
			}

			failed++
			if err == nil {
				started, failed = true, 0
			}

			if !started || failed == 0 || failed >= by.FailureThreshold {
				tell(p, err == nil)
			}

			select {
			case <-time.After(seconds(by.PeriodSeconds)):
			case <-p.Ended:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	p.t.Cleanup(func() {
		cancel()
		<-p.probed
	})
}

// terminate ends the pod as a kubelet does: preStop, SIGTERM, and SIGKILL when the
// grace period is over, which is an error, as is what is left of it.
func (p *pod) terminate() error {
	p.stopProbes()
	<-p.probed
	preStop := slices.Clone(p.container.Lifecycle.PreStop.Exec.Command)
	n, err := strconv.Atoi(preStop[1])
	if err != nil {
		return err
	}

	preStop[1] = fmt.Sprint(seconds(n).Seconds())
	if out, err := p.exec(context.WithoutCancel(p.t.Context()), preStop...); err != nil {
		return fmt.Errorf("preStop of %s: %w: %s", p.name, err, out)
	}

	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}

	// The requests' time is not shorter here, so neither is the period.
	select {
	case <-p.Ended:
	case <-time.After(time.Duration(p.spec.TerminationGracePeriodSeconds) * time.Second):
		return errors.Join(fmt.Errorf("the grace period of %s is over: %s", p.name, &p.Stderr), p.Cmd.Process.Kill())
	}

	if status := p.Cmd.ProcessState.ExitCode(); status != 0 || strings.Contains(p.Stderr.String(), "panic") {
		return fmt.Errorf("%s has ended with status %d: %s", p.name, status, &p.Stderr)
	}

	return p.nothingLeft()
}

func (p *pod) requireTerminated(t testing.TB) {
	t.Helper()
	p.Judged = true
	require.NoError(t, p.terminate())
}

func (p *pod) nothingLeft() error {
	errs := make([]error, 0, 1+len(p.spec.Volumes))

	errs = append(errs, awaited.Within(patience, p.Leftovers))
	for _, v := range p.spec.Volumes {
		entries, err := os.ReadDir(filepath.Join(p.volumes(), v.Name))
		if err == nil && len(entries) > 0 {
			err = fmt.Errorf("left in the volume %s: %v", v.Name, entries)
		}

		errs = append(errs, err)
	}

	return errors.Join(errs...)
}

// awaitServing waits for the pod's own report.
func (p *pod) awaitServing(t testing.TB) {
	t.Helper()
	eventuallyWithin(t, deadline, func() error {
		if strings.Contains(p.Stdout.String(), imageApp+": started in ") {
			return nil
		}

		return fmt.Errorf("%s does not serve: %s", p.name, &p.Stderr)
	})
}

// zombies are the processes of the pod that have ended and were not waited for.
func (p *pod) zombies(ctx context.Context) error {
	out, err := p.exec(ctx, "sh", "-c", `grep -l '^State:.Z' /proc/[0-9]*/status || true`)
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}

	if strings.TrimSpace(out) != "" {
		return errors.New("zombies: " + out)
	}

	return nil
}
