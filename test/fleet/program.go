package fleet

import (
	"context"
	"fmt"
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
