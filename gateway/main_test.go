package gateway_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Most tests wait for deadlines, not for a processor.
	_ = flag.Set("test.parallel", "6") // the command line may say something else
	goleak.VerifyTestMain(m)
}
