package load_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

// A process that is stuck in a request is given its time, and then takes
// no other with it.
func TestRestartWithAStuckProcess(t *testing.T) {
	const drainTimeout = time.Second

	requests := batch(t)
	for _, lang := range some() {
		t.Run(lang.name, func(t *testing.T) {
			s := newStand(t, lang, func(o *passenger.Options) { o.DrainTimeout = drainTimeout })
			stuck := make(chan *failure, 1)
			go func() {
				c := newClient(s.addr)
				defer c.hangUp()
				stuck <- c.ask("/slow", "?ms=3600000")
			}()
			s.await(t, func(g *passenger.GroupSnapshot) bool {
				n := 0
				for _, p := range enabled(g) {
					n += p.Sessions
				}

				return n == 1
			})
			l := s.newLoad(t)
			l.awaitMore(t, requests)
			began := time.Now()
			s.restart(t)

			select {
			case f := <-stuck:
				require.NotNil(t, f)
				require.Contains(t, []int{0, http.StatusBadGateway}, f.status, f)
			case <-time.After(deadline):
				require.FailNow(t, "the stuck process is still there", s.text(t))
			}

			require.GreaterOrEqual(t, time.Since(began), drainTimeout)
			l.awaitMore(t, requests)
			require.Empty(t, l.end())
			l.report(t, 1)
			t.Logf("the stuck request failed after %.2f s", time.Since(began).Seconds())
		})
	}
}
