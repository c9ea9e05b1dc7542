package apiserver

import (
	"strconv"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/metrics"
)

// exposition is a text in the format of Prometheus, version 0.0.4.
type exposition struct {
	b    []byte
	name string
	// head is that of a family whose first sample has not come yet.
	head string
	// value is the last value of a label, and escaped what is written of it: mostly the next sample has it, too.
	value, escaped string
}

func (*exposition) contentType() string { return metricsType }

func (e *exposition) bytes() []byte { return e.b }

func (e *exposition) family(name string, kind metrics.Kind, help string) {
	e.name = name
	e.head = "# HELP " + name + " " + escapeHelp.Replace(help) + "\n# TYPE " + name + " " + string(kind) + "\n"
}

func (e *exposition) sample(value float64, labels ...string) {
	e.begin("", labels)

	if len(labels) > 0 {
		e.b = append(e.b, '}')
	}

	e.b = append(e.b, ' ')
	e.end(value)
}

func (e *exposition) histogram(h *passenger.Histogram, labels ...string) {
	var below uint64

	for i, n := range h.Counts {
		// A bucket counts those below it as well.
		below += n

		e.begin("_bucket", labels)
		e.b = append(e.b, `,le="`...)

		if i < len(h.Bounds) {
			e.b = strconv.AppendFloat(e.b, h.Bounds[i], 'g', -1, 64)
		} else {
			e.b = append(e.b, "+Inf"...)
		}

		e.b = append(e.b, `"} `...)
		e.end(float64(below))
	}

	e.begin("_sum", labels)
	e.b = append(e.b, "} "...)
	e.end(h.Sum.Seconds())
	e.begin("_count", labels)
	e.b = append(e.b, "} "...)
	e.end(float64(below))
}

// begin writes a line up to its labels, and leaves the brace open if there are some.
func (e *exposition) begin(suffix string, labels []string) {
	e.b = append(e.b, e.head...)
	e.head = ""
	e.b = append(e.b, e.name...)
	e.b = append(e.b, suffix...)

	separator := byte('{')
	for i := 0; i+1 < len(labels); i += 2 {
		e.b = append(e.b, separator)
		e.b = append(e.b, labels[i]...)
		e.b = append(e.b, `="`...)
		e.b = append(e.b, e.escape(labels[i+1], i == 0)...)
		e.b = append(e.b, '"')

		separator = ','
	}
}

// escape keeps the result of the first label of a sample.
func (e *exposition) escape(value string, first bool) string {
	// The others, as states and outcomes, change from sample to sample.
	if !first {
		return escapeLabel.Replace(metrics.LabelOf(value))
	}

	if value != e.value {
		e.value, e.escaped = value, escapeLabel.Replace(metrics.LabelOf(value))
	}

	return e.escaped
}

// maxExact is above the integers that each float64 up to it is.
const maxExact = 1 << 53

func (e *exposition) end(value float64) {
	// Most values are integers, which AppendFloat would write as 1.5e+06.
	if whole := int64(value); float64(whole) == value && -maxExact < whole && whole < maxExact {
		e.b = strconv.AppendInt(e.b, whole, 10)
	} else {
		e.b = strconv.AppendFloat(e.b, value, 'g', -1, 64)
	}

	e.b = append(e.b, '\n')
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)
