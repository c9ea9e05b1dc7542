package apiserver

import (
	"encoding/binary"
	"math"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/histogram"
	"github.com/gopassenger/passenger/metrics"
)

// protobuf is a sequence of the messages MetricFamily of Prometheus's client model, each behind its length. It has what
// the text has, and native histograms. (Source: io/prometheus/client/metrics.proto in
// github.com/prometheus/client_model.)
type protobuf struct {
	out protoMessage
	// head has the name, help and type of a family, metrics its samples.
	head, metrics protoMessage
	kind          metrics.Kind

	// These are used again for each sample.
	value, one, part protoMessage
}

// The numbers of the fields that are used, by message.
const (
	familyName, familyHelp, familyType, familyMetric            = 1, 2, 3, 4
	metricLabel, metricGauge, metricCounter, metricHistogram    = 1, 2, 3, 7
	labelName, labelValue                                       = 1, 2
	gaugeValue                                                  = 1 // and that of a counter
	histogramCount, histogramSum, histogramBucket               = 1, 2, 3
	histogramSchema, histogramZeroThreshold, histogramZeroCount = 5, 6, 7
	histogramSpan, histogramDelta                               = 12, 13
	bucketCount, bucketBound                                    = 1, 2
	spanOffset, spanLength                                      = 1, 2
)

// metricTypes are the values of the enumeration MetricType.
var metricTypes = map[metrics.Kind]uint64{metrics.Counter: 0, metrics.Gauge: 1, metrics.Histogram: 4}

func (*protobuf) contentType() string {
	return "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
}

func (p *protobuf) bytes() []byte {
	p.endFamily()
	return p.out
}

func (p *protobuf) family(name string, kind metrics.Kind, help string) {
	p.endFamily()
	p.head.text(familyName, name)
	p.head.text(familyHelp, help)
	p.head.uint(familyType, metricTypes[kind])
	p.kind = kind
}

// endFamily writes the family if it has samples.
func (p *protobuf) endFamily() {
	// A family without samples does not show, as in the text.
	if len(p.metrics) > 0 {
		p.out = binary.AppendUvarint(p.out, uint64(len(p.head)+len(p.metrics)))
		p.out = append(append(p.out, p.head...), p.metrics...)
	}

	p.head, p.metrics = p.head[:0], p.metrics[:0]
}

func (p *protobuf) sample(value float64, labels ...string) {
	p.value = p.value[:0]
	p.value.double(gaugeValue, value)

	field := metricGauge
	if p.kind == metrics.Counter {
		field = metricCounter
	}

	p.metric(field, labels)
}

// metric adds a sample, which p.value is the field of.
func (p *protobuf) metric(field int, labels []string) {
	p.one = p.one[:0]

	for i := 0; i+1 < len(labels); i += 2 {
		p.part = p.part[:0]
		p.part.text(labelName, labels[i])
		p.part.text(labelValue, metrics.LabelOf(labels[i+1]))
		p.one.nested(metricLabel, p.part)
	}

	p.one.nested(field, p.value)
	p.metrics.nested(familyMetric, p.one)
}

// histogram writes both kinds of buckets.
func (p *protobuf) histogram(h *passenger.Histogram, labels ...string) {
	// The state may have been taken while durations were counted, and Prometheus rejects a histogram whose buckets do
	// not add up to its count.
	var count uint64
	for _, n := range h.Fine {
		count += n
	}

	p.value = p.value[:0]
	p.value.uint(histogramCount, count)
	p.value.double(histogramSum, h.Sum.Seconds())

	var below uint64

	for i, bound := range h.Bounds {
		below = min(below+h.Counts[i], count)

		p.part = p.part[:0]
		p.part.uint(bucketCount, below)
		p.part.double(bucketBound, bound)
		p.value.nested(histogramBucket, p.part)
	}

	p.value.native(h.Fine)
	p.metric(metricHistogram, labels)
}

// maxGap is how many empty buckets between others are written as such: a new span takes more room than two of them.
const maxGap = 2

// native adds the fine buckets. The first of them, which has all that is shorter too, is the zero bucket.
func (m *protoMessage) native(fine []uint64) {
	if len(fine) == 0 {
		return
	}

	m.sint(histogramSchema, histogram.Schema)
	m.double(histogramZeroThreshold, math.Exp2(histogram.FirstFine/float64(int(1)<<histogram.Schema)))
	m.uint(histogramZeroCount, fine[0])

	var (
		spans  []nativeSpan
		deltas protoMessage
		last   uint64
	)

	end := -histogram.FirstFine // the bucket that offsets of the first span count from
	add := func(n uint64) {
		deltas.sint(histogramDelta, int64(n-last)) //nolint:gosec // G115: a difference may be negative
		spans[len(spans)-1].length++
		end++
		last = n
	}

	// As client_golang writes them.
	for i, n := range fine {
		if i == 0 || n == 0 {
			continue
		}

		if gap := i - end; len(spans) == 0 || gap > maxGap {
			spans = append(spans, nativeSpan{offset: gap})
			end = i
		}

		for end < i {
			add(0)
		}

		add(n)
	}

	for _, s := range spans {
		var span protoMessage
		span.sint(spanOffset, int64(s.offset))
		span.uint(spanLength, s.length)
		m.nested(histogramSpan, span)
	}

	*m = append(*m, deltas...)
}

// nativeSpan is a row of buckets. offset counts from the end of the one before.
type nativeSpan struct {
	offset int
	length uint64
}

// protoMessage is a message of Protocol Buffers in its encoding.
type protoMessage []byte

// The types of fields.
const (
	varintField = 0
	doubleField = 1
	bytesField  = 2
)

func (m *protoMessage) tag(field, kind int) {
	*m = binary.AppendUvarint(*m, uint64(field<<3|kind)) //nolint:gosec // G115: they are positive
}

func (m *protoMessage) uint(field int, value uint64) {
	m.tag(field, varintField)
	*m = binary.AppendUvarint(*m, value)
}

// sint is for the types sint32 and sint64.
func (m *protoMessage) sint(field int, value int64) {
	m.tag(field, varintField)
	*m = binary.AppendVarint(*m, value)
}

func (m *protoMessage) double(field int, value float64) {
	m.tag(field, doubleField)
	*m = binary.LittleEndian.AppendUint64(*m, math.Float64bits(value))
}

func (m *protoMessage) text(field int, value string) {
	m.tag(field, bytesField)
	*m = binary.AppendUvarint(*m, uint64(len(value)))
	*m = append(*m, value...)
}

func (m *protoMessage) nested(field int, value protoMessage) {
	m.tag(field, bytesField)
	*m = binary.AppendUvarint(*m, uint64(len(value)))
	*m = append(*m, value...)
}
