//go:build linux

package harness

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shell starts a script and waits until it has said hello.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(filepath.Join(t.TempDir(), "log"), "sh", "-c", "echo hello; "+script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	err = Until(t.Context(), time.Minute, "it says hello", func() error {
		if !strings.Contains(p.Tail(), "hello") {
			return errors.New("silence")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProcessIsKilled(t *testing.T) {
	t.Parallel()
	p := shell(t, "exec sleep 60")
	if err := p.Ended(); err != nil {
		t.Error(err)
	}
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	p.Kill() // also a paused one
	if err := p.Ended(); err != nil {
		t.Errorf("that it was killed is no surprise: %v", err)
	}
	p.Kill() // again
}

func TestProcessEndsByItself(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo goodbye; exit 3")
	<-p.done
	if err := p.Ended(); err == nil || !strings.Contains(err.Error(), "goodbye") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("it ended with %v", err)
	}
}

func TestProcessStops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		limit        time.Duration
		says         string
	}{
		{"in good order", `trap "exit 0" TERM; while :; do sleep 0.01; done`, time.Minute, ""},
		{"with an error", `trap "exit 4" TERM; while :; do sleep 0.01; done`, time.Minute, "exit status 4"},
		{"not at all", `trap "" TERM; while :; do sleep 0.01; done`, 100 * time.Millisecond, "did not end within"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := shell(t, c.script).Stop(c.limit)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
