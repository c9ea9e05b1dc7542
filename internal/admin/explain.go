package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/terminal"
)

// Explain says what would become of the next request to the applications of these names.
func Explain(ctx context.Context, client *apiserver.Client, names []string) ([]passenger.Explanation, error) {
	all := []passenger.Explanation{}
	for _, name := range names {
		some, err := client.Explain(ctx, name)
		if err != nil {
			return nil, err
		}

		all = append(all, some...)
	}

	return all, nil
}

// outcomes finish the sentence that an explanation begins with.
var outcomes = map[passenger.Outcome]string{
	passenger.OutcomeServed:  "a request that came now would be served at once",
	passenger.OutcomeWaits:   "a request that came now would wait",
	passenger.OutcomeRefused: "a request that came now would be refused",
}

// settings are the names of options by those of the settings of reasons.
var settings = map[string]string{
	"MaxPoolSize":               "max_pool_size",
	"MaxProcesses":              "max_instances",
	"MaxRequestQueueSize":       "max_request_queue_size",
	"MaxRequestQueueTime":       "max_request_queue_time",
	"UnlimitedConcurrencyPaths": "unlimited_concurrency_paths",
}

// ExplanationText is what explanations say to people.
func ExplanationText(all []passenger.Explanation, colour bool) string {
	heading := func(name string) string { return name }
	if colour {
		heading = func(name string) string { return terminal.Heading + name + terminal.Reset }
	}

	var b strings.Builder
	for i, one := range all {
		if i > 0 {
			b.WriteByte('\n')
		}

		fmt.Fprintf(&b, "%s: %s\n", heading(Printable(one.AppName)), outcomes[one.Outcome])

		for _, r := range one.Reasons {
			option := ""
			if name := settings[r.Setting]; name != "" {
				option = fmt.Sprintf(" (option %s)", name)
			}

			fmt.Fprintf(&b, "  - %s%s\n", Printable(r.Text), option)
		}
	}

	return b.String()
}
