package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/procstat"
)

func TestMemoryReportWriteText(t *testing.T) {
	const mb = 1 << 20
	r := admin.MemoryReport{
		Version: "1.2.3",
		At:      time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Apache: &admin.MemoryTable{
			Processes: []admin.MemoryProcess{{
				PID: 1200, PPID: procstat.Known(1), VMSize: procstat.Known(int64(803 * mb / 10)),
				PrivateDirty: procstat.Known(int64(21 * mb / 10)), Name: "/usr/sbin/apache2",
			}},
			TotalPrivateDirty: 2202009, Complete: true,
		},
		Nginx: &admin.MemoryTable{Complete: true},
		Passenger: admin.MemoryTable{Processes: []admin.MemoryProcess{
			{
				PID:    77,
				VMSize: procstat.Known(int64(mb)),
				Name:   "a\x1b[2Jb",
			}, {
				PID:  1234567,
				Name: strings.Repeat("long", 20),
			},
		}},
	}
	var b strings.Builder
	require.NoError(t, r.WriteText(&b, false))
	require.Equal(t, `Version: 1.2.3
Date   : 2026-03-04 05:06:07 +0000

-------- Apache processes ---------
PID   PPID  VMSize   Private  Name
-----------------------------------
1200  1     80.3 MB  2.1 MB   /usr/sbin/apache2
### Processes: 1
### Total private dirty RSS: 2.10 MB


-------- Nginx processes --------
### Processes: 0
### Total private dirty RSS: 0.00 MB


----- Passenger processes -----
PID      VMSize  Private  Name
-------------------------------
77       1.0 MB  ?        a?[2Jb
1234567  ?       ?        longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong
### Processes: 2
### Total private dirty RSS: 0.00 MB (?)
`, b.String())
	require.False(t, r.Complete())
	b.Reset()
	require.NoError(t, r.WriteText(&b, true))
	require.Contains(t, b.String(), "\x1b[44m\x1b[33m\x1b[1m-------- Nginx processes --------\x1b[0m\n")
}
