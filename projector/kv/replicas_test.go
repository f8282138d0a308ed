package kv

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
)

// replicas answers for the servers of a stream, of which each has another part
// of it. Message n of the stream is at sequence n.
type replicas struct {
	t       *testing.T
	stream  []string   // the subjects of all messages
	replica func() int // how many messages the replica has that is asked next
	leader  func() int // how many the leader has
}

// view returns one that the replicas answer for.
func (r *replicas) view(conn *nats.Conn, name string) *view {
	r.t.Helper()
	box, err := newInbox(conn)
	if err != nil {
		r.t.Fatal(err)
	}
	at := places{bucket: name, prefix: name + ".", leaderGet: name + "-leader", directGet: name + "-replica"}
	for subject, answer := range map[string]nats.MsgHandler{at.leaderGet: r.fromLeader, at.directGet: r.fromAny} {
		if _, err := conn.Subscribe(subject, answer); err != nil {
			r.t.Fatal(err)
		}
	}
	return &view{bucket: bucket{title: name, at: at, conn: conn, inbox: box}, name: name, names: names{places: at}}
}

// kept returns the sequences that a server with the first n messages keeps.
func (r *replicas) kept(n int) []int {
	var kept []int
	values := map[string]int{}
	for i := n; i > 0; i-- {
		if values[r.stream[i-1]]++; values[r.stream[i-1]] <= history {
			kept = append(kept, i)
		}
	}
	slices.Reverse(kept)
	return kept
}

func (r *replicas) fromLeader(m *nats.Msg) {
	var q getRequest
	if err := json.Unmarshal(m.Data, &q); err != nil {
		r.t.Error(err)
	}
	answer := fmt.Sprintf(`{"error":{"err_code":%d}}`, codeNotFound)
	if i := r.last(q.Last, r.leader()); i > 0 {
		answer = fmt.Sprintf(`{"message":{"subject":%q,"seq":%d}}`, q.Last, i)
	}
	r.respond(m, nats.Header{}, answer)
}

func (r *replicas) last(subject string, n int) int {
	for i := n; i > 0; i-- {
		if r.stream[i-1] == subject {
			return i
		}
	}
	return 0
}

// fromAny answers as one replica does, at one instant.
func (r *replicas) fromAny(m *nats.Msg) {
	var q getRequest
	if err := json.Unmarshal(m.Data, &q); err != nil {
		r.t.Error(err)
	}
	n := r.replica()
	var found []int
	for _, i := range r.kept(n) {
		subject := r.stream[i-1]
		if q.Sequence > 0 && i >= int(q.Sequence) || slices.Contains(q.MultiLast, subject) && r.last(subject, n) == i {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		r.respond(m, nats.Header{"Status": {"404"}}, "")
		return
	}
	room := len(found)
	if q.Sequence > 0 {
		room = min(room, q.Batch)
	}
	before := 0
	for _, i := range found[:room] {
		r.respond(m, nats.Header{
			nats.JSSubject: {r.stream[i-1]}, nats.JSSequence: {fmt.Sprint(i)}, nats.JSLastSequence: {fmt.Sprint(before)}, positionHeader: {fmt.Sprint(i)},
		}, "{}")
		before = i
	}
	r.respond(m, nats.Header{
		"Status": {"204"}, nats.JSLastSequence: {fmt.Sprint(before)}, "Nats-Num-Pending": {fmt.Sprint(len(found) - room)}, "Nats-UpTo-Sequence": {fmt.Sprint(n)},
	}, "")
}

func (r *replicas) respond(m *nats.Msg, h nats.Header, data string) {
	if err := m.RespondMsg(&nats.Msg{Header: h, Data: []byte(data)}); err != nil {
		r.t.Error(err)
	}
}

// list reads all pages and returns the keys in the order they came.
func (r *replicas) list(v *view, limit, since int) (keys []string) {
	r.t.Helper()
	for cursor, more := "", true; more; more = cursor != "" {
		docs, next, err := v.List(r.t.Context(), cursor, limit, projector.Checkpoint{Worker: "0", Revision: uint64(since)})
		if err != nil {
			r.t.Fatal(err)
		}
		for _, d := range docs {
			keys = append(keys, d.Key)
		}
		cursor = next
	}
	return keys
}

func connectAlone(t *testing.T) *nats.Conn {
	t.Helper()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// A list is read from replicas that are ahead of the leader, and then from one
// that is no further than the leader.
func TestNothingIsMissedBehindALeaderThatLags(t *testing.T) {
	t.Parallel()
	conn := connectAlone(t)
	for name, c := range map[string]struct {
		stream string
		asked  []int // how far the replicas are that are asked in turn
		want   []string
	}{
		// The page finds a's old value, and that it has a newer one.
		"a document has moved": {"d.a d.b d.c c.0 d.a c.0", []int{4, 6, 4, 4}, []string{"b", "c", "a"}},
		// The page does not find a: both its values are further back.
		"a document has moved twice": {"d.a d.b d.c c.0 d.a c.0 d.a c.0", []int{8, 8, 4, 4}, []string{"b", "c", "a"}},
		// The page is empty, and passed over within one call.
		"all have moved": {"d.a d.b d.c c.0 d.a d.b c.0", []int{4, 7, 4, 4}, []string{"c", "a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			title := strings.ReplaceAll(name, " ", "-")
			r := &replicas{t: t, leader: func() int { return 4 }}
			for key := range strings.FieldsSeq(c.stream) {
				r.stream = append(r.stream, title+"."+key)
			}
			r.replica = func() int {
				if len(c.asked) == 0 {
					return len(r.stream)
				}
				n := c.asked[0]
				c.asked = c.asked[1:]
				return n
			}
			if diff := cmp.Diff(c.want, r.list(r.view(conn, title), 2, 4)); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		})
	}
}

// Lists of any size of page, from replicas of which each is as far as chance has
// it, while documents change and more of them come.
func TestNothingIsMissedOnReplicasThatLag(t *testing.T) {
	t.Parallel()
	conn := connectAlone(t)
	for seed := range uint64(120) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			name := fmt.Sprintf("s%d", seed)
			r := &replicas{t: t}
			const documents = 8
			for i := range documents {
				r.stream = append(r.stream, fmt.Sprintf("%s.d.k%d", name, i))
			}
			r.stream = append(r.stream, name+".c.0")
			since, hot := len(r.stream), 1+random.IntN(2*documents)
			for range 30 {
				r.stream = append(r.stream, fmt.Sprintf("%s.d.k%d", name, random.IntN(hot)), name+".c.0")
			}
			servers := []int{since, since, since}
			advance := func(i int) int {
				servers[i] = min(servers[i]+2*random.IntN(8), len(r.stream)) // a commit is two messages, seen together
				return servers[i]
			}
			r.leader = func() int { return advance(0) }
			r.replica = func() int { return advance(random.IntN(len(servers))) }
			keys := r.list(r.view(conn, name), 1+random.IntN(documents), since)
			for i := range documents {
				if key := fmt.Sprintf("k%d", i); !slices.Contains(keys, key) {
					t.Errorf("%s was missed: listed %v", key, keys)
				}
			}
		})
	}
}
