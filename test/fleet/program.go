package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
)

// Namespace is that of the loans example.
const Namespace = "loans"

// Programs are the binaries under test.
type Programs struct {
	Loans  string // this module's example
	Server string // the NATS server of the version in go.mod
}

// Build compiles what is not given into dir.
func (p Programs) Build(ctx context.Context, dir string) (Programs, error) {
	for _, b := range []struct {
		program           *string
		name, mainPackage string
	}{
		{&p.Loans, "loans", "github.com/annals-go/annals/cmd/loans"},
		{&p.Server, "nats-server", "github.com/nats-io/nats-server/v2"},
	} {
		if *b.program != "" {
			continue
		}
		*b.program = filepath.Join(dir, b.name)
		out, err := exec.CommandContext(ctx, "go", "build", "-o", *b.program, b.mainPackage).CombinedOutput()
		if err != nil {
			return p, fmt.Errorf("build %s: %w\n%s", b.name, err, out)
		}
	}
	return p, nil
}

// The ports of servers come from below those that the system gives to outgoing
// connections: one of these could otherwise take the port of a server that is
// down for a moment.
const (
	firstPort = 12_000
	lastPort  = 30_000
)

// freePorts returns distinct ports of the loopback interface that were free a
// moment ago.
func freePorts(n int) ([]int, error) {
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil && tries < 100*n {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // all at the end, so that no port comes twice
		ports = append(ports, port)
	}
	return ports, nil
}
