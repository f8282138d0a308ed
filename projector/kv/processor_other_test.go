//go:build !unix

package kv_test

import (
	"testing"
	"time"
)

// processorTime is not told here: the benchmarks then print 0.
func processorTime(testing.TB) time.Duration { return 0 }
