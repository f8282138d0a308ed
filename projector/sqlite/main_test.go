package sqlite_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role, os.Getenv(dirVariable)))
	}
	// Most tests wait for a disk, not for a processor.
	_ = flag.Set("test.parallel", "6") // the command line may say something else
	goleak.VerifyTestMain(m)
}
