package store_test

import (
	"flag"
	"testing"
)

func TestMain(m *testing.M) {
	// Cases that wait for what a fault has lost need no processor.
	_ = flag.Set("test.parallel", "8") // the command line may say something else
	m.Run()
}
