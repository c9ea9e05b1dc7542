package dashboard

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/procstat"
)

func TestStatesOfProcesses(t *testing.T) {
	for name, c := range map[string]struct {
		p    Process
		want string
	}{
		"idle":      {Process{State: passenger.ProcessEnabled, Concurrency: 2}, stateIdle},
		"busy":      {Process{State: passenger.ProcessEnabled, Concurrency: 2, Sessions: 1}, stateBusy},
		"full":      {Process{State: passenger.ProcessEnabled, Concurrency: 2, Sessions: 2}, stateFull},
		"no limit":  {Process{State: passenger.ProcessEnabled, Sessions: 99}, stateBusy},
		"disabling": {Process{State: passenger.ProcessDisabling, Sessions: 1}, stateDraining},
		"disabled":  {Process{State: passenger.ProcessDisabled}, stateDisabled},
		"detached":  {Process{State: passenger.ProcessDetached, Sessions: 1}, stateDraining},
		"stopping":  {Process{State: passenger.ProcessEnabled, Stopping: true}, stateDraining},
		"exited":    {Process{State: passenger.ProcessDetached, Exited: true}, ""},
	} {
		require.Equal(t, c.want, stateOf(&c.p), name)
	}
}

func TestGroupsOfOneNameAreOneApplication(t *testing.T) {
	source := newInstance("shop", "shop", "wiki")
	source.pool.WaitingForCapacity = []string{"shop", "wiki", "shop"}

	for i := range 2 {
		g := &source.pool.Groups[i]
		g.QueueLength, g.Spawning = 2, 1
		g.Processes = []Process{
			{
				PID:          10 + i,
				State:        passenger.ProcessEnabled,
				Concurrency:  4,
				Sessions:     3,
				LongSessions: 1,
				Metrics:      procstat.Process{PrivateDirty: procstat.Known[int64](100), CPU: procstat.Known(50.)},
			},
			{
				PID:      20 + i,
				State:    passenger.ProcessDetached,
				Sessions: 1,
				Metrics:  procstat.Process{RSS: procstat.Known[int64](11)},
			},
		}
	}

	pool, err := source.Pool(t.Context())
	require.NoError(t, err)

	s := &state{pool: pool}
	all := s.apps()
	require.Len(t, all, 2)
	require.Equal(t, app{
		Name:      "shop",
		Root:      "/srv/shop",
		Map:       "bdsbds",
		Busy:      2,
		Processes: 2,
		Slots:     8,
		Taken:     6,
		Long:      2,
		Queue:     4,
		Starving:  2,
		Memory:    222,
		CPU:       1,
	}, all[0])

	pool.Groups[1].Processes[0].Concurrency = 0
	require.Zero(t, s.apps()[0].Slots, "no limit in all")
}

func TestRequestsHaveNoQueryAndTheOldestComeFirst(t *testing.T) {
	s := &state{}
	now := time.Now()

	for i := range 2 * maxRequests {
		s.requests = append(s.requests, Request{
			App:   "shop",
			ID:    "id",
			Began: now.Add(-time.Duration(i) * time.Second),
			Path:  "/cart?token=canary",
		})
	}

	s.requests = append(s.requests, Request{App: "wiki", Began: now.Add(-time.Hour)},
		Request{App: "shop", Began: now.Add(-time.Hour), Path: "/" + strings.Repeat("ä", maxPath)})

	shown, all := s.requestsOf("shop")
	require.Equal(t, 2*maxRequests+1, all)
	require.Len(t, shown, maxRequests)
	require.Equal(t, "/"+strings.Repeat("ä", maxPath/2-1)+"…", shown[0].Path)
	require.Equal(t, "/cart", shown[1].Path)
	require.Equal(t, now.Add(-(2*maxRequests-1)*time.Second).UnixMilli(), shown[1].Began.milliseconds())
}

func TestEventsHaveWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newInstance("shop", "wiki")
		source.requests = []Request{{App: "shop", Path: "/", State: "WAITING_FOR_APP_OUTPUT"}}
		source.failures = []passenger.FailedSpawn{failedStart("shop", "1"), failedStart("wiki", "2")}
		h := newTestHub(source)
		viewers := joinTogether(t, h, everything, shopOnly)
		v, one := viewers[0], viewers[1]
		defer h.leave(v)
		defer h.leave(one)

		next := func() (list listForTest, app appForTest) {
			decoded(t, <-v.events, &list)
			decoded(t, <-one.events, &app)

			return list, app
		}
		list, app := next()
		require.Len(t, list.Apps, 2)
		require.Equal(t, "shop", app.App.Name)
		require.Equal(t, 1, app.Requests.All)
		require.Len(t, *app.Failures, 1)
		require.Equal(t, "no flask", (*app.Failures)[0].Text)
		require.Equal(t, "one", (*app.Incidents)[0].ID)

		list, app = next()
		require.Empty(t, list.Apps)
		require.Equal(t, appForTest{}, app)
		require.Equal(t, 1, source.asked, "reports are long: they are got when there are new ones")

		source.change(func(i *instance) {
			i.pool.Groups = i.pool.Groups[:1]
			g := &i.pool.Groups[0]
			g.QueueLength = 3
			g.Counts.SpawnFailures++
			g.LastSpawnError = &SpawnFailure{Summary: "no flask"}
			g.Generation = 2
			g.Processes = []Process{{PID: 5, State: passenger.ProcessEnabled, Generation: 1}, {PID: 6, Exited: true}}
			i.failures = append(i.failures, failedStart("shop", "3"))
		})
		list, app = next()
		require.Equal(t, []string{"wiki"}, list.Gone)
		require.Len(t, list.Apps, 1)
		require.Equal(t, 3, list.Apps[0].Queue)
		require.Equal(t, "no flask", list.Apps[0].Spawn.Text)
		require.Len(t, *app.Failures, 2)
		require.Equal(t, []shownProcess{{PID: 5, State: stateIdle, Old: true}}, *app.Processes)
		require.Nil(t, app.Requests)
		require.Equal(t, 2, source.asked)

		none := join(t, h, topicKey{one: true, name: "no such"})
		defer h.leave(none)

		event := <-none.events
		require.Contains(t, string(event), `"app":null`)
	})
}
