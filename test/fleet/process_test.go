//go:build linux

package fleet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// shell starts a script and waits until it has said hello.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := startProcess(filepath.Join(t.TempDir(), "log"), "sh", "-c", "echo hello; "+script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
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

// The servers must keep what the run is about: each write synced, in a cluster
// of all.
func TestServersAreConfigured(t *testing.T) {
	t.Parallel()
	f := &Fleet{config: Config{Dir: t.TempDir(), Places: make([]Place, 3)}}
	if err := f.place(); err != nil {
		t.Fatal(err)
	}
	ports := map[int]bool{}
	for _, s := range f.Servers {
		o, err := server.ProcessConfigFile(s.config())
		if err != nil {
			t.Fatal(err)
		}
		if !o.SyncAlways || !o.JetStream || o.Cluster.Name == "" || len(o.Routes) != 2 || o.Host != "127.0.0.1" {
			t.Errorf("%s: sync always %v, JetStream %v, cluster %q, %d routes, host %s", s.Name, o.SyncAlways, o.JetStream, o.Cluster.Name, len(o.Routes), o.Host)
		}
		if o.MaxPayload != server.MAX_PAYLOAD_SIZE && o.MaxPayload != 0 {
			t.Errorf("%s: max_payload %d", s.Name, o.MaxPayload)
		}
		ports[o.Port], ports[o.HTTPPort], ports[o.Cluster.Port] = true, true, true
	}
	if len(ports) != 9 {
		t.Errorf("%d different ports, want 9", len(ports))
	}
	for _, n := range f.Nodes {
		line := strings.Join(n.arguments(), " ")
		for _, s := range f.Servers {
			if !strings.Contains(line, s.URL()) || !strings.Contains(line, s.Monitor()) {
				t.Errorf("node %s does not know %s: %s", n.Name, s.Name, line)
			}
		}
	}
}

func TestDump(t *testing.T) {
	t.Parallel()
	w := sound(t)
	path := filepath.Join(t.TempDir(), "history.jsonl")
	if err := w.history.Dump(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines != 6 || !strings.Contains(string(text), `"command":"schedule-work"`) {
		t.Errorf("%d lines:\n%s", lines, text)
	}
}
