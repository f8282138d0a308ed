package node_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// The servers of dev send a command straight to the subject of its partition's
// owner, whoever the client is and whichever server it knows.
func TestDevClusterMapsCommandsToOwners(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, talk := &firstLine{line: make(chan string, 1)}, &lockedText{}
	ended := make(chan int, 1)
	go func() {
		streams := node.Streams{In: strings.NewReader(""), Out: out, Err: talk}
		ended <- node.Run(ctx, bank, streams, "dev", "--nodes", "2", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json")
	}()
	var info struct{ NATS string }
	select {
	case line := <-out.line:
		if err := json.Unmarshal([]byte(line), &info); err != nil {
			t.Fatal(err)
		}
	case code := <-ended:
		t.Fatalf("ended with exit code %d: %s", code, talk)
	}
	id := store.StreamID{Type: "account", ID: "ann"}
	for i, url := range strings.Split(info.NATS, ",") {
		nc, err := nats.Connect(url)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		seen, err := nc.SubscribeSync("bank.prt.*.cmd.>")
		if err != nil {
			t.Fatal(err)
		}
		command := map[bool]string{true: "open", false: "deposit"}[i == 0]
		answer, err := nc.Request("bank.cmd.account.ann."+command, []byte(`{}`), patience)
		for err == nil && answer.Header.Get("Annals-Error") == string(gateway.CodeUnavailable) {
			// The lease is a second long, and was not renewed in time: nothing was stored.
			answer, err = nc.Request("bank.cmd.account.ann."+command, []byte(`{}`), patience)
		}
		if err != nil {
			t.Fatal(err)
		}
		var result struct{ Version int }
		if err := json.Unmarshal(answer.Data, &result); err != nil || result.Version != i+1 {
			t.Errorf("server %d: answer %s, want version %d", i, answer.Data, i+1)
		}
		m, err := seen.NextMsg(patience)
		if err != nil {
			t.Fatalf("server %d: nothing went to the owner's subject: %v", i, err)
		}
		if got, p, _ := strings.Cut(strings.TrimPrefix(m.Subject, "bank.prt."), "."); got != strconv.Itoa(id.Partition(128)) || p != "cmd.account.ann."+command {
			t.Errorf("server %d: the command went to %s, want partition %d", i, m.Subject, id.Partition(128))
		}
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("ended with exit code %d: %s", code, talk)
	}
}
