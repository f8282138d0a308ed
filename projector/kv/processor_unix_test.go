//go:build unix

package kv_test

import (
	"syscall"
	"testing"
	"time"
)

// processorTime is what this process has used so far, which other load on the
// machine changes little, unlike the time that passes.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
