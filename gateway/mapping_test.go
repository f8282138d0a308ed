package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func TestMapping(t *testing.T) {
	t.Parallel()
	from, to := gateway.Mapping("bank", 128)
	if from != "bank.cmd.*.*.*" || to != "bank.prt.{{partition(128,1,2)}}.cmd.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}" {
		t.Errorf("%s to %s", from, to)
	}
}

// The server sends each command to the partition that this module computes, and
// leaves the rest of the subject as it is.
func TestTheServerComputesTheSamePartitions(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, n := range []int{1, 7, 128, 4096} {
		s := startServer(t)
		from, to := gateway.Mapping(namespace, n)
		if err := s.GlobalAccount().AddMapping(from, to); err != nil {
			t.Fatal(err)
		}
		nc := connect(t, s)
		sub, err := nc.SubscribeSync("bank.prt.>")
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			id := store.StreamID{Type: randomName(rng), ID: randomID(rng)}
			token, err := store.EncodeToken(id.ID)
			if err != nil {
				t.Fatalf("%q: %v", id.ID, err)
			}
			path := fmt.Sprintf("cmd.%s.%s.open", id.Type, token)
			if err := nc.Publish("bank."+path, nil); err != nil {
				t.Fatal(err)
			}
			m, err := sub.NextMsg(soon)
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("bank.prt.%d.%s", id.Partition(n), path); m.Subject != want {
				t.Fatalf("of %d: %s, want %s", n, m.Subject, want)
			}
		}
	}
}

func randomName(rng *rand.Rand) string {
	return "t" + strings.Repeat("a", rng.IntN(5)) + itoa(rng.IntN(1000))
}

// randomID is an id of any characters, most of which must be escaped.
func randomID(rng *rand.Rand) string {
	alphabet := []rune("abcXYZ019-_ ./*>=$%&\"'\\äß漢字🙂~^")
	id := make([]rune, 1+rng.IntN(20))
	for i := range id {
		id[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(id)
}

// With the mapping a stranger's command goes to the owner's subject, and what
// is malformed still gets its answer from a gateway.
func TestAMappedCommandReachesTheOwner(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	from, to := gateway.Mapping(namespace, partitions)
	if err := s.GlobalAccount().AddMapping(from, to); err != nil {
		t.Fatal(err)
	}
	a := startNode(t, s, r, "a", notHere(t), partitioned)
	owner := &fakeActors{submit: succeed}
	b := startNode(t, s, r, "b", owner, partitioned)
	for p := range partitions {
		serve(t, b, p)
	}
	nc := connect(t, s)
	for p := range partitions {
		if m := request(t, nc, "bank."+touchIn(p), ""); status(t, m) != 200 {
			t.Errorf("%s", m.Data)
		}
	}
	if n := owner.count.Load(); n != partitions {
		t.Errorf("%d reached the owner", n)
	}
	if n := a.forwarded(t, "command") + b.forwarded(t, "command"); n != 0 {
		t.Errorf("%v were passed on", n)
	}
	for _, subject := range []string{"bank.cmd.account.a", "bank.cmd.account.a.touch.b"} {
		if m := request(t, nc, subject, ""); status(t, m) != 400 {
			t.Errorf("%s: %d", subject, status(t, m))
		}
	}
}
