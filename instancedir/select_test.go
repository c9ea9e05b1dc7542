package instancedir_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

// known is an instance as Select sees it.
func known(path, name string, uid, watchdog, core int) instancedir.Instance {
	return instancedir.Instance{
		Path:       path,
		Name:       name,
		UID:        uid,
		Properties: instancedir.Properties{Name: name, WatchdogPID: watchdog, CorePID: core},
	}
}

func TestSelect(t *testing.T) {
	me, stranger := os.Geteuid(), os.Geteuid()+alice
	shop := known("/1", "shop", me, 10, 11)
	shopping := known("/2", "shopping", stranger, 20, 21)
	blog := known("/3", "blog", 0, 30, 31)

	twin := known("/4", "shop", stranger, 10, 41)
	for name, test := range map[string]struct {
		there []instancedir.Instance
		name  string
		pid   int
		want  string // path
		err   string
		among []string
	}{
		"none":           {err: instancedir.ErrNoneRunning.Error()},
		"none of a name": {name: "x", err: `no instance is running whose name is "x" or starts so`},
		"the only one":   {there: []instancedir.Instance{shopping}, want: "/2"},
		"several": {
			there: []instancedir.Instance{shop, blog},
			err:   "several instances are running: choose one of shop, blog",
			among: []string{"/1", "/3"},
		},
		"others' are seen as well": {
			there: []instancedir.Instance{shop, twin},
			err:   "several",
			among: []string{"/1", "/4"},
		},
		"beginning":          {there: []instancedir.Instance{shopping, blog}, name: "sh", want: "/2"},
		"only the beginning": {there: []instancedir.Instance{shopping, blog}, name: "log", err: `"log"`},
		"whole name":         {there: []instancedir.Instance{shop, shopping}, name: "shop", want: "/1"},
		"beginning of several": {
			there: []instancedir.Instance{shop, shopping, blog},
			name:  "sho",
			err:   `start with "sho": choose one of shop, shopping`,
			among: []string{"/1", "/2"},
		},
		"another user's of the name": {there: []instancedir.Instance{twin, shop}, name: "shop", want: "/1"},
		"only another user's":        {there: []instancedir.Instance{twin, shopping}, name: "shop", want: "/4"},
		"two of a name": {
			there: []instancedir.Instance{shop, shop},
			name:  "shop",
			err:   "choose one of shop, shop",
			among: []string{"/1", "/1"},
		},
		"watchdog":                       {there: []instancedir.Instance{shop, blog}, pid: 30, want: "/3"},
		"core":                           {there: []instancedir.Instance{shop, blog}, pid: 11, want: "/1"},
		"another user's with the number": {there: []instancedir.Instance{twin, shop}, pid: 10, want: "/1"},
		"two with the number": {
			there: []instancedir.Instance{shop, shop},
			pid:   10,
			err:   "process 10: choose one of shop, shop",
			among: []string{"/1", "/1"},
		},
		"no such process": {there: []instancedir.Instance{shop}, pid: 12, err: "the process 12"},
		"no process": {
			there: []instancedir.Instance{known("/5", "x", me, 1, 0)},
			pid:   -1,
			err:   "the process -1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := &instancedir.Listing{Instances: test.there}
			selectOne := func() (*instancedir.Instance, error) { return l.Select(test.name) }
			if test.pid != 0 {
				selectOne = func() (*instancedir.Instance, error) { return l.SelectPID(test.pid) }
			}

			i, err := selectOne()
			if test.err == "" {
				require.NoError(t, err)
				require.Equal(t, test.want, i.Path)
				return
			}

			require.ErrorContains(t, err, test.err)
			var ambiguous *instancedir.AmbiguousError

			var notFound *instancedir.NotFoundError
			switch {
			case test.among != nil:
				require.ErrorAs(t, err, &ambiguous)

				among := []string{}
				for _, i := range ambiguous.Instances {
					among = append(among, i.Path)
				}

				require.Equal(t, test.among, among)
				require.Equal(t, test.name, ambiguous.Name)
				require.Equal(t, test.pid, ambiguous.PID)
			case test.name == "" && test.pid == 0:
				require.ErrorIs(t, err, instancedir.ErrNoneRunning)
			default:
				require.ErrorAs(t, err, &notFound)
				require.Equal(t, instancedir.NotFoundError{Name: test.name, PID: test.pid}, *notFound)
			}
		})
	}
}
