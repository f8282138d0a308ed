package node

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// startConfigured starts a server as its configuration file says, and connects.
func startConfigured(t *testing.T, config string) *nats.Conn {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := natsserver.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", natsserver.RANDOM_PORT, true, true
	server, err := natsserver.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() { server.Shutdown(); server.WaitForShutdown() })
	if !server.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server is not ready")
	}
	nc, err := nats.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// What is printed is configuration that a server takes, and it computes the
// partitions that the log has.
func TestMappingsConfigureAServer(t *testing.T) {
	t.Parallel()
	s, out, _ := testSession(nil)
	if err := s.printMapping(16); err != nil {
		t.Fatal(err)
	}
	nc := startConfigured(t, out.String())
	owners, err := nc.SubscribeSync("bank.prt.>")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"ann", "bob", "x1", "173688", "A_b-c"} {
		if err := nc.Publish("bank.cmd.account."+id+".open", nil); err != nil {
			t.Fatal(err)
		}
		m, err := owners.NextMsg(time.Minute)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		partition := store.StreamID{Type: "account", ID: id}.Partition(16)
		if want := strings.Join([]string{"bank.prt", strconv.Itoa(partition), "cmd.account", id, "open"}, "."); m.Subject != want {
			t.Errorf("%s: %s, want %s", id, m.Subject, want)
		}
	}
}
