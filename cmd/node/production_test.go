package node_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node"
)

// firstLine is a writer that tells its first line.
type firstLine struct {
	text lockedText
	line chan string
}

func (f *firstLine) Write(p []byte) (int, error) {
	n, err := f.text.Write(p)
	if line, _, whole := strings.Cut(f.text.String(), "\n"); whole {
		select {
		case f.line <- line:
		default:
		}
	}
	return n, err
}

// nodeInfo is what a program reads of a node.
type nodeInfo struct {
	Node       string `json:"node"`
	Ready      bool   `json:"ready"`
	HTTP       string `json:"http"`
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Durability string `json:"durability"`
	Loss       string `json:"loss"`
}

// runNode runs a node until it is ready, and then stops it. It returns what it
// said, its exit code, and what went to standard error.
func runNode(t *testing.T, args ...string) (info nodeInfo, code int, talk string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, errs := &firstLine{line: make(chan string, 1)}, &lockedText{}
	ended := make(chan int, 1)
	args = append([]string{"node", "--name", "a", "--http", "127.0.0.1:0", "--json"}, args...)
	go func() {
		ended <- node.Run(ctx, bank, node.Streams{In: strings.NewReader(""), Out: out, Err: errs}, args...)
	}()
	select {
	case line := <-out.line:
		if err := json.Unmarshal([]byte(line), &info); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		cancel()
		code = <-ended
	case code = <-ended:
	}
	return info, code, errs.String()
}

func startCluster(t *testing.T, cfg embedded.ClusterConfig) (url string, monitors []string) {
	t.Helper()
	cfg.Monitor, cfg.Logger = true, slog.New(slog.DiscardHandler)
	c, err := embedded.StartCluster(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Shutdown)
	for i := range c.Len() {
		monitors = append(monitors, c.Server(i).MonitorURL())
	}
	return c.URL(), monitors
}

func TestNodeOnServersThatSyncAlways(t *testing.T) {
	t.Parallel()
	url, monitors := startCluster(t, embedded.ClusterConfig{Dir: t.TempDir()})
	elsewhere, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Sync: embedded.SyncAlways, Monitor: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(elsewhere.Shutdown)
	for _, test := range []struct {
		name    string
		monitor []string
		fault   string
	}{
		{"nobody shows it", nil, "cannot be seen whether the NATS servers sync always"},
		{"two of three show it", monitors[:2], "seen of 2 NATS servers only"},
		{"one shows it three times", []string{monitors[0], monitors[0], monitors[0]}, "seen of 1 NATS servers only"},
		{"a foreign server shows it", []string{elsewhere.MonitorURL()}, "is of another cluster"},
		{"one does not answer", []string{monitors[0], monitors[1], "http://127.0.0.1:1"}, "report cannot be read"},
	} {
		_, code, talk := runNode(t, "-s", url, "--monitor", strings.Join(test.monitor, ","))
		if code != 1 || !strings.Contains(talk, "[SYNC_UNSEEN]") || !strings.Contains(talk, test.fault) || !strings.Contains(talk, "--monitor http://HOST") {
			t.Errorf("%s: exit code %d, talk %s", test.name, code, talk)
		}
	}
	info, code, talk := runNode(t, "-s", url, "--monitor", strings.Join(monitors, ","), "--partitions", "16")
	want := nodeInfo{
		Node: "a", Ready: true, HTTP: info.HTTP, Partitions: 16, Replicas: 3, Durability: "replicated-sync",
		Loss: "acknowledged commands survive the loss of 1 of 3 servers and a power cut of all servers",
	}
	if info != want || code != 0 {
		t.Errorf("%+v and exit code %d, want %+v; talk %s", info, code, want, talk)
	}
	// With one of three servers down a node starts, with two it does not.
	if _, code, talk := runNode(t, "-s", url, "--monitor", strings.Join([]string{monitors[0], monitors[1], "http://127.0.0.1:1"}, ",")); code != 0 || !strings.Contains(talk, "report cannot be read") {
		t.Errorf("one report of three is missing: exit code %d, talk %s", code, talk)
	}
	if _, code, talk := runNode(t, "-s", url, "--monitor", strings.Join([]string{monitors[0], "http://127.0.0.1:1", "http://127.0.0.1:2"}, ",")); code != 1 || !strings.Contains(talk, "[SYNC_UNSEEN]") {
		t.Errorf("two reports of three are missing: exit code %d, talk %s", code, talk)
	}
	// What was fixed at creation is found, and not changed.
	if info, _, _ := runNode(t, "-s", url, "--durability", "replicated"); info.Partitions != 16 || info.Replicas != 3 {
		t.Errorf("an existing namespace: %+v", info)
	}
	if _, code, talk := runNode(t, "-s", url, "--durability", "replicated", "--partitions", "32"); code != 2 || !strings.Contains(talk, "annals.partitions") {
		t.Errorf("another number of partitions: exit code %d, talk %s", code, talk)
	}
	if _, code, talk := runNode(t, "-s", url, "--durability", "replicated", "--replicas", "5"); code != 1 || !strings.Contains(talk, "3 of 5 [NOT_REPLICATED]") {
		t.Errorf("more copies than there are: exit code %d, talk %s", code, talk)
	}
}

func TestNodeOnServersThatSyncLate(t *testing.T) {
	t.Parallel()
	url, monitors := startCluster(t, embedded.ClusterConfig{})
	monitor := strings.Join(monitors, ",")
	refused := func(code string, args ...string) {
		t.Helper()
		_, exit, talk := runNode(t, append([]string{"-s", url}, args...)...)
		if exit != 1 || !strings.Contains(talk, "["+code+"]") || !strings.Contains(talk, "\n  fix: ") {
			t.Errorf("%q: exit code %d, talk %s, want %s", args, exit, talk, code)
		}
	}
	refused("NOT_SYNCED", "--monitor", monitor)
	if info, code, talk := runNode(t, "-s", url, "--durability", "single", "--ns", "one"); code != 0 || info.Replicas != 1 || !strings.Contains(info.Loss, "one copy") {
		t.Errorf("durability single: %+v, exit code %d, talk %s", info, code, talk)
	}
	refused("NOT_REPLICATED", "--ns", "one", "--monitor", monitor)
	refused("NOT_REPLICATED", "--ns", "one", "--durability", "replicated")
	if info, code, talk := runNode(t, "-s", url, "--durability", "replicated"); code != 0 || !strings.Contains(info.Loss, "a power cut of all servers at once can lose") {
		t.Errorf("durability replicated: %+v, exit code %d, talk %s", info, code, talk)
	}
	refused("NOT_SYNCED", "--monitor", monitor)
}
