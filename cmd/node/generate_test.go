package node

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/configured"
)

// What is printed is configuration that a server takes, and it computes the
// partitions that the log has.
func TestMappingsConfigureAServer(t *testing.T) {
	t.Parallel()
	s, out, _ := testSession(nil)
	if err := s.printMapping(16); err != nil {
		t.Fatal(err)
	}
	nc := configured.Connect(t, out.String())
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
