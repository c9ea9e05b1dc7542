package apiserver

import (
	"bytes"
	"strconv"
	"strings"
)

type metricKind string

const (
	gauge   metricKind = "gauge"
	counter metricKind = "counter"
)

// exposition is a text in the format of Prometheus, version 0.0.4.
type exposition struct {
	b bytes.Buffer
	// head is that of a family whose first sample has not come yet.
	head string
}

// family begins a metric; the samples of one must follow each other. One without
// samples does not show.
func (e *exposition) family(name string, kind metricKind, help string) {
	e.head = "# HELP " + name + " " + escapeHelp.Replace(help) + "\n# TYPE " + name + " " + string(kind) + "\n"
}

// sample adds a value. Labels are names, each with its value.
func (e *exposition) sample(name string, value float64, labels ...string) {
	e.b.WriteString(e.head)
	e.head = ""
	e.b.WriteString(name)

	for i := 0; i+1 < len(labels); i += 2 {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}

		e.b.WriteByte(separator)
		e.b.WriteString(labels[i] + `="` + escapeLabel.Replace(strings.ToValidUTF8(labels[i+1], "\ufffd")) + `"`)
	}

	if len(labels) > 0 {
		e.b.WriteByte('}')
	}

	e.b.WriteString(" " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
}

// one is a gauge of one sample.
func (e *exposition) one(name, help string, value float64, labels ...string) {
	e.family(name, gauge, help)
	e.sample(name, value, labels...)
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)
