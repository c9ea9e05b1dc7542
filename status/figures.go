package status

import "time"

// Figures are what the requests and processes of an application were like of late.
type Figures struct {
	App string `json:"app"`
	// Address says for people which requests are for the application, as example.com/shop; empty means all requests of
	// the server.
	Address string `json:"address,omitempty"`
	// Recent are those of the last one to two minutes.
	Recent Recent `json:"recent"`
	// Points are those of the last hour, in the order of time and without gaps. They end at the time of the newest.
	Points []Point `json:"points,omitempty"`
}

// Recent sums up a short time.
type Recent struct {
	// Span is how long it was, in seconds; zero means that nothing is known yet.
	Span float64 `json:"span"`
	// Requests and Errors are those a second that ended; Errors are responses of status 5xx.
	Requests float64 `json:"requests"`
	Errors   float64 `json:"errors"`
	// P50, P95 and P99 are the times, in seconds, that 50, 95 and 99 percent of the requests did not exceed; zero
	// means that none ended.
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// Point is one interval of the history of an application. Requests, Errors and percentiles are as in Recent.
type Point struct {
	At       time.Time `json:"at"`
	Requests float32   `json:"requests"`
	Errors   float32   `json:"errors"`
	P50      float32   `json:"p50"`
	P95      float32   `json:"p95"`
	P99      float32   `json:"p99"`
	// The following are the state at the end of the interval. Queue is the number of requests that waited, Busy and
	// Processes the numbers of processes. Memory is in bytes, CPU is the number of processors that were busy.
	Queue     int     `json:"queue"`
	Busy      int     `json:"busy"`
	Processes int     `json:"processes"`
	Memory    float32 `json:"memory"`
	CPU       float32 `json:"cpu"`
}
