package jetstream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"

	"github.com/annals-go/annals/store"
)

// anyStream draws ids that may be written.
func anyStream() *rapid.Generator[store.StreamID] {
	return rapid.Custom(func(t *rapid.T) store.StreamID {
		return store.StreamID{
			Type: rapid.StringMatching(`[a-z][a-z0-9-]{0,20}`).Draw(t, "type"),
			ID:   rapid.StringMatching(`[ -~]{1,60}`).Draw(t, "id"),
		}
	})
}

func TestSubjectAndBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := newNames("ns", rapid.IntRange(1, maxPartitions).Draw(t, "partitions"), 1)
		id := anyStream().Draw(t, "stream")
		token, err := store.EncodeToken(id.ID)
		if err != nil {
			t.Fatal(err)
		}
		subject := n.subject(id, token)
		want := fmt.Sprintf("ns.evt.%d.%s.%s", id.Partition(n.partitions), id.Type, token)
		if subject != want || strings.Count(subject, ".") != 4 {
			t.Fatalf("subject %q, want %q", subject, want)
		}
		if got := n.streamID(subject); got != id {
			t.Fatalf("%q stands for %v, want %v", subject, got, id)
		}
		if !n.holds(subject, id) {
			t.Fatalf("%q does not hold %v", subject, id)
		}
		other := anyStream().Draw(t, "other")
		if n.holds(subject, other) != (other == id) {
			t.Fatalf("%q holds %v", subject, other)
		}
	})
}

// TestPartitionIsTheServers has the server's own subject mapping compute the
// partition of random ids, as it would for clients that cannot hash.
func TestPartitionIsTheServers(t *testing.T) {
	t.Parallel()
	s := single.use(t)[0]
	conn := connect(t, s)
	for _, partitions := range []int{1, 7, 128, maxPartitions} {
		from, to := fmt.Sprintf("map-in-%d", partitions), fmt.Sprintf("map-out-%d", partitions)
		mapped := fmt.Sprintf("%s.{{partition(%d,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}", to, partitions)
		if err := addMapping(s, from+".*.*", mapped); err != nil {
			t.Fatal(err)
		}
		sub, err := conn.SubscribeSync(to + ".>")
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			id := anyStream().Draw(t, "stream")
			token, err := store.EncodeToken(id.ID)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.Publish(from+"."+id.Type+"."+token, nil); err != nil {
				t.Fatal(err)
			}
			m, err := sub.NextMsg(patience)
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%s.%d.%s.%s", to, id.Partition(partitions), id.Type, token); m.Subject != want {
				t.Fatalf("the server routes %v to %s, want %s", id, m.Subject, want)
			}
		})
	}
}

func addMapping(s *server.Server, from, to string) error {
	return s.GlobalAccount().AddMapping(from, to)
}
