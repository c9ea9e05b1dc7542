package apiserver_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/test/longtests"
)

// A thousand connections send nothing of use.
// Faults: G14.
func TestAPISurvivesConnectionsThatSendGarbage(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	garbage := []string{
		"\x00\x01\x02\x03\r\n\r\n",
		"GET\r\n\r\n",
		"GET /pool.txt HTTP/9.9\r\n\r\n",
		"GET /pool.txt HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", // two Hosts
		"GET /pool.txt HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
		"POST /shutdown.json HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
		"GET /" + strings.Repeat("a", 200<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	}
	var responses atomic.Int32

	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for j := range 50 {
				conn, err := net.Dial("unix", h.socket)
				if err != nil {
					t.Error(err)
					return
				}

				_ = conn.SetDeadline(time.Now().Add(patience))
				_, _ = io.WriteString(conn, garbage[(i+j)%len(garbage)])
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err == nil {
					responses.Add(1)
					if resp.StatusCode < 400 || resp.StatusCode >= 506 {
						t.Errorf("status %d", resp.StatusCode)
					}
				}

				_ = conn.Close()
			}
		})
	}

	for range 50 {
		require.Equal(t, http.StatusOK, h.ask("GET", "/pool.json", "").Status, "others are served meanwhile")
	}

	wg.Wait()
	require.Positive(t, responses.Load())
	require.Empty(t, h.shut)
}

// Faults: G14.
func TestHalfOpenConnectionsOfOneUserLeaveRoomForOthers(t *testing.T) {
	h := newHouse(t).tenants().onUnix()

	q := request{
		Network: "unix",
		Address: h.socket,
		Method:  "GET",
		Path:    "/pool.txt",
	}
	for _, uid := range []int{carol, bob} {
		becomes(t, uid).call(request{
			Network: "unix",
			Address: h.socket,
			Flood:   1000,
			Survive: 64,
		})
		require.Equal(t, http.StatusOK, becomes(t, alice).call(q).Status)
		require.Equal(t, http.StatusOK, h.call(q).Status)
	}
}

// A gigabyte that is announced is refused before any of it has come, and one that is sent without a length when it
// is too much.
// Faults: G14.
func TestAPIRefusesLargeBodiesBeforeTheyArrive(t *testing.T) {
	h := newHouse(t).tenants()
	tcp := h.onTCP()
	const gigabyte = 1 << 30

	authorization := "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+fullPassword))
	for _, test := range []struct {
		name, authorization string
		status              int
	}{
		{"stranger", "", http.StatusUnauthorized},
		{"admin", authorization, http.StatusRequestEntityTooLarge},
	} {
		for _, framing := range []string{fmt.Sprintf("Content-Length: %d", gigabyte), "Transfer-Encoding: chunked"} {
			t.Run(test.name+" "+framing, func(t *testing.T) {
				conn, err := net.Dial("tcp", tcp)
				require.NoError(t, err)
				defer conn.Close()
				require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
				_, err = fmt.Fprintf(conn,
					"POST /pool/restart_app_group.json HTTP/1.1\r\nHost: api\r\nAuthorization: %s\r\n%s\r\n\r\n",
					test.authorization, framing)
				require.NoError(t, err)
				sent := make(chan int, 1)
				go func() {
					n := 0

					piece := "8000\r\n" + strings.Repeat("a", 0x8000) + "\r\n"
					for n < gigabyte && strings.HasPrefix(framing, "Transfer") {
						m, err := io.WriteString(conn, piece)
						if n += m; err != nil {
							break
						}
					}

					sent <- n
				}()
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.Equal(t, test.status, resp.StatusCode)
				_ = conn.Close()
				require.Less(t, <-sent, 64<<20, "the server has not read it")
			})
		}
	}

	q := request{
		Network:  "tcp",
		Address:  tcp,
		Method:   "POST",
		Path:     "/pool/restart_app_group.json",
		Name:     "admin",
		Password: fullPassword,
		Body:     `{"name":"none"}` + strings.Repeat(" ", 128<<10-15),
	}
	require.Equal(t, http.StatusOK, h.call(q).Status, "exactly the limit")
	q.Body += " "
	require.Equal(t, http.StatusRequestEntityTooLarge, h.call(q).Status)
}

// Faults: G14.
func TestWrongPasswordsAreRefusedInFewLogLines(t *testing.T) {
	guesses := longtests.Rounds(t, 1_000, 10_000)
	h := newHouse(t).tenants().onUnix()
	tcp := h.onTCP()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	var next atomic.Int32

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := next.Add(1); n <= int32(guesses); n = next.Add(1) {
				req, err := http.NewRequest(http.MethodGet, "http://"+tcp+"/pool.txt", http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}

				req.SetBasicAuth([]string{"admin", "api", "ro_admin"}[n%3], fmt.Sprintf("guess-%d", n))
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}

				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("status %d", resp.StatusCode)
				}
			}
		})
	}

	for range 50 {
		require.Equal(t, http.StatusOK, h.ask("GET", "/pool.json", "").Status, "others are served meanwhile")
	}

	wg.Wait()
	lines := strings.Count(h.log.String(), "wrong password")
	require.Positive(t, lines)
	require.Less(t, lines, 10)
	require.NotContains(t, h.log.String(), "guess")
}

// Faults: G16.
func TestStatusIsConsistentDuringChaos(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup

	apps := []*passenger.Options{
		app("shop", "shop", alice), app("blog", "blog", bob), app("twin", "twin-alice", alice),
		app("late", "late", bob),
	}
	for _, o := range apps {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				s, err := h.pool.Get(ctx, o)
				if err != nil {
					continue
				}

				switch i % 8 {
				case 0:
					_, _, _ = h.pool.BeginRestart(o.App.GroupName,
						passenger.RestartOptions{Method: passenger.RestartMethod(1 + i/8%2)})
				case 1:
					_ = h.pool.DetachProcess(s.GUPID())
				case 2:
					h.factory.Kill(s.PID())
				}

				s.Close(passenger.KeepAlive)
			}
		})
	}

	for range longtests.Rounds(t, 25, 100) {
		a := h.ask("GET", "/pool.json", "")
		require.Equal(t, http.StatusOK, a.Status)
		var s passenger.Snapshot
		require.NoError(t, json.Unmarshal([]byte(a.Body), &s))
		requireConsistent(t, &s)

		a = h.ask("GET", "/pool.xml?secrets=true", "")
		var info struct {
			Groups    int      `xml:"group_count"`
			Processes int      `xml:"process_count"`
			Capacity  int      `xml:"capacity_used"`
			Used      []int    `xml:"supergroups>supergroup>capacity_used"`
			States    []string `xml:"supergroups>supergroup>group>processes>process>enabled"`
		}
		require.NoError(t, xml.Unmarshal([]byte(a.Body), &info))
		require.Len(t, info.Used, info.Groups)

		for _, used := range info.Used {
			info.Capacity -= used
		}

		require.Zero(t, info.Capacity)

		for _, state := range info.States {
			if state != "DETACHED" {
				info.Processes--
			}
		}

		require.Zero(t, info.Processes)
		require.True(t, strings.HasPrefix(h.ask("GET", "/pool.txt", "").Body, "----------- General information"))
		_, err := parseMetrics(h.ask("GET", "/metrics", "").Body)
		require.NoError(t, err)
	}

	cancel()
	wg.Wait()
}

func requireConsistent(t *testing.T, s *passenger.Snapshot) {
	t.Helper()

	used := 0
	for i := range s.Groups {
		g := &s.Groups[i]
		used += g.CapacityUsed

		live := 0
		for j := range g.Processes {
			if g.Processes[j].State != "detached" {
				live++
			}

			sessions := 0
			for _, sock := range g.Processes[j].Sockets {
				sessions += sock.Sessions
			}

			require.Equal(t, g.Processes[j].Sessions, sessions)
		}

		require.LessOrEqual(t, live, g.CapacityUsed)
		require.LessOrEqual(t, g.CapacityUsed, live+g.Spawning)
	}

	require.Equal(t, s.CapacityUsed, used)
}

// BenchmarkStatusOfAThousandGroups is what an admin, and a tenant of one of
// them, wait for.
func BenchmarkStatusOfAThousandGroups(b *testing.B) {
	h := newBenchHouse(b, 1000)

	key := ""
	for _, id := range h.Identities() {
		key = id.APIKey
	}

	for _, who := range [][2]string{{"admin", fullPassword}, {"api", key}, {"admin", "wrong"}} {
		for _, path := range []string{"/pool.txt", "/pool.xml", "/pool.json", "/metrics"} {
			b.Run(who[0]+"-"+who[1][:5]+path, func(b *testing.B) {
				s, err := apiserver.New(apiserver.Config{Pool: h, Accounts: accounts()})
				require.NoError(b, err)

				for b.Loop() {
					responseTo(b, s, path, who)
				}
			})
		}
	}
}
