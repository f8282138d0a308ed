//go:build linux

package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

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
