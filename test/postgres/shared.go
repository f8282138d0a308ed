package postgres

import (
	"errors"
	"os"
	"sync"
	"testing"
)

// require is the environment variable that makes a missing server a failure.
const require = "ANNALS_REQUIRE_POSTGRES"

// shared is the server of a test binary.
var shared struct {
	mu     sync.Mutex
	server *Server
	err    error
}

// Shared returns the server that the tests of a binary share, which the first
// of them starts. Without PostgreSQL the test is skipped, or fails if
// ANNALS_REQUIRE_POSTGRES is 1. [Tests] ends the server.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = Start()
	}
	if shared.err != nil {
		missing(t, shared.err)
	}
	return shared.server
}

// Own returns a server of the test's own, to stop, kill or set otherwise. It
// is closed when the test ends. Without PostgreSQL it does as [Shared] does.
func Own(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := Start(settings...)
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func missing(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrNotInstalled) && os.Getenv(require) != "1" {
		t.Skipf("SKIPPED, NOT PASSED: %v", err)
	}
	t.Fatal(err)
}

// Runner runs the tests of a binary, as [testing.M] does.
type Runner struct{ m *testing.M }

// Tests returns a runner of m that ends the server of [Shared] after the last test.
func Tests(m *testing.M) Runner { return Runner{m: m} }

// Run runs the tests and returns the status to exit with.
func (r Runner) Run() int {
	status := r.m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil && shared.server.Close() != nil && status == 0 {
		status = 1
	}
	return status
}
