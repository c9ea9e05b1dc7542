//go:build !linux

package admin

import (
	"errors"
	"fmt"
)

// Read reads the metrics, on Linux.
func (*MetricsReader) Read() (SystemMetrics, error) {
	return SystemMetrics{}, fmt.Errorf("the metrics of the system can be read on Linux only: %w", errors.ErrUnsupported)
}
