package spawner

import "time"

const (
	// DefaultMaxOutputRate is how many bytes a second of its output are logged of a
	// process.
	DefaultMaxOutputRate = 1 << 20

	// outputBurst is for how many seconds' worth of output at once there is room, as when
	// an application starts.
	outputBurst = 4
	// floodRate is how many bytes a second are read of a process that prints more than its
	// share: it may be held up, but its requests not for long.
	floodRate = 32 << 20
	// floodPiece is after how many bytes there is a pause then: for less, timers would
	// take longer than the reading.
	floodPiece = 64 << 10
	// lineCost is how many bytes a line counts for beside its text: short ones take time, too.
	lineCost = 16
	// maxLate is how much of what a pause took too long counts.
	maxLate = 50 * time.Millisecond
)

// flood is how much of a process's output may be logged: rate bytes a second. All but
// pause need the output's lock.
type flood struct {
	rate int64 // zero means no limit
	left int64
	at   time.Time
}

func newFlood(rate int64) flood {
	if rate == 0 {
		rate = DefaultMaxOutputRate
	}

	rate = max(rate, 0)

	return flood{rate: rate, left: outputBurst * rate, at: time.Now()}
}

// take reports whether a line of that size is within the share. A line counts for more than its
// text: the log has more.
func (f *flood) take(size int) bool {
	if f.rate == 0 {
		return true
	}

	cost := int64(size) + 1
	if size > 0 {
		cost += lineOverhead
	}

	if f.left < cost {
		// The clock is asked only when the share is used up.
		f.refill()
	}

	if f.left < cost {
		return false
	}

	f.left -= cost

	return true
}

func (f *flood) refill() {
	now := time.Now()
	full := outputBurst * f.rate

	// As a float, since a long time would overflow.
	more := int64(min(now.Sub(f.at).Seconds(), outputBurst) * float64(f.rate))
	if more > 0 {
		f.left, f.at = min(f.left+more, full), now
	}
}

// pause waits for as long as reading n bytes may take in a flood, since the last pause was
// to end, and returns when this one was. What pauses have taken too long, on a busy
// machine, later ones are shorter by.
func (f *flood) pause(n int, last time.Time) (end time.Time) {
	rate := max(floodRate, 2*f.rate)
	now := time.Now()
	if late := now.Add(-maxLate); last.Before(late) {
		last = late
	}

	if last.After(now) {
		last = now
	}

	end = last.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	if !end.After(now) {
		return end
	}

	timer := time.NewTimer(end.Sub(now))
	defer timer.Stop()
	<-timer.C

	return end
}
