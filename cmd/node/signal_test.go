package node_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/annals-go/annals/cmd/node"
)

func TestMain(m *testing.M) {
	// Most tests wait for processes that wait for others, not for a processor.
	_ = flag.Set("test.parallel", "6") // the command line may say something else
	testscript.Main(m, map[string]func(){
		"bank":      func() { node.Main(bank) },
		"laterbank": func() { node.Main(laterBank) },
		"strict":    func() { node.Main(strictBank) },
		"broken":    func() { node.Main(brokenBank) },
		"vault":     func() { node.Main(vault) },
		"people":    func() { node.Main(people) },
		"homes":     func() { node.Main(homes) },
		"towns":     func() { node.Main(towns) },
		"annals":    func() { node.Main(node.App{Name: "annals"}) },
	})
}

// One signal asks a command to end, the second ends the process.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		args    []string
		signals []os.Signal
	}{
		{"once is enough for a command that listens", []string{"linger"}, []os.Signal{syscall.SIGINT}},
		{"a termination is the same", []string{"linger"}, []os.Signal{syscall.SIGTERM}},
		{"twice ends one that does not", []string{"linger", "--deaf"}, []os.Signal{syscall.SIGINT, syscall.SIGINT}},
		{"the two may differ", []string{"linger", "--deaf"}, []os.Signal{syscall.SIGTERM, syscall.SIGINT}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			path, err := exec.LookPath("bank")
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(ctx, path, test.args...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for _, signal := range test.signals {
				if !lines.Scan() { // it says when it is ready for the next signal
					t.Fatalf("ended before %v", signal)
				}
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
			}
			for lines.Scan() {
			}
			exit, is := errors.AsType[*exec.ExitError](cmd.Wait())
			if !is || exit.ExitCode() != 130 {
				t.Errorf("ended with %v, want exit code 130", exit)
			}
		})
	}
}
