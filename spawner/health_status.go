package spawner

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The statuses that a response can end with: those below 200 only announce one.
const (
	lowestStatus  = 200
	highestStatus = 599
)

// statusRange includes both of its ends.
type statusRange struct{ from, to int }

// statuses are those that pass a health check; none of them: all below 400.
type statuses []statusRange

// parseStatuses reads a list such as "200" or "200-299,401".
func parseStatuses(list string) (statuses, error) {
	if list == "" {
		return nil, nil
	}

	var s statuses
	for item := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			to = from
		}

		r := statusRange{parseStatus(from), parseStatus(to)}
		if r.from == 0 || r.to == 0 || r.from > r.to {
			return nil, fmt.Errorf("the health status %q is neither a status from %d to %d, nor a range such as "+
				"200-299, "+
				"nor a list of them with commas between", item, lowestStatus, highestStatus)
		}

		s = append(s, r)
	}

	return s, nil
}

// parseStatus returns 0 for what is no status of a response.
func parseStatus(text string) int {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < lowestStatus || n > highestStatus {
		return 0
	}

	return n
}

func (s statuses) include(status int) bool {
	if len(s) == 0 {
		return status < http.StatusBadRequest
	}

	for _, r := range s {
		if r.from <= status && status <= r.to {
			return true
		}
	}

	return false
}

// String completes "status 500 instead of".
func (s statuses) String() string {
	if len(s) == 0 {
		return "one below 400"
	}

	texts := make([]string, len(s))
	for i, r := range s {
		texts[i] = strconv.Itoa(r.from)
		if r.to != r.from {
			texts[i] += "-" + strconv.Itoa(r.to)
		}
	}

	return strings.Join(texts, ",")
}
