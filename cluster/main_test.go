package cluster_test

import (
	"flag"
	"testing"
)

func TestMain(m *testing.M) {
	// Most tests wait for leases to end, not for a processor.
	_ = flag.Set("test.parallel", "8") // the command line may say something else
	m.Run()
}
