package jetstream

import (
	"strconv"
	"strings"

	"github.com/annals-go/annals/store"
)

// names holds the names of a namespace: what is stored where, and what to ask
// the server for it.
type names struct {
	namespace  string
	partitions int
	// order has all commits in their total order, streams are what they are
	// appended to. If there is one log stream it is the order.
	order   kept
	streams []kept
	bucket  string // the snapshots bucket

	events string // "<ns>.evt."
	keys   string // "$KV.<bucket>."
	// snapshots is the stream of the bucket, bucketPurge removes from it.
	snapshots   kept
	bucketPurge string
}

// kept is a stream on the server, and what to ask for what it keeps.
type kept struct {
	name      string
	leaderGet string // answered by the stream's leader only
	directGet string // answered by any replica, possibly behind
	info      string
	pull      string // "$JS.API.CONSUMER.MSG.NEXT.<stream>."
	stepDown  string
	purge     string
}

func keptIn(stream string) kept {
	return kept{
		name:      stream,
		leaderGet: "$JS.API.STREAM.MSG.GET." + stream,
		directGet: "$JS.API.DIRECT.GET." + stream,
		info:      "$JS.API.STREAM.INFO." + stream,
		pull:      "$JS.API.CONSUMER.MSG.NEXT." + stream + ".",
		stepDown:  "$JS.API.STREAM.LEADER.STEPDOWN." + stream,
		purge:     "$JS.API.STREAM.PURGE." + stream,
	}
}

func newNames(namespace string, partitions, logStreams int) names {
	bucket := "ANNALS_" + namespace + "_snapshots"
	n := names{
		namespace:  namespace,
		partitions: partitions,
		order:      keptIn("ANNALS_" + namespace + "_events"),
		bucket:     bucket,
		events:     namespace + ".evt.",
		keys:       "$KV." + bucket + ".",

		snapshots:   keptIn("KV_" + bucket),
		bucketPurge: "$JS.API.STREAM.PURGE.KV_" + bucket,
	}
	if logStreams == 1 {
		n.streams = []kept{n.order}
		return n
	}
	for i := range logStreams {
		n.streams = append(n.streams, keptIn(n.order.name+"_"+strconv.Itoa(i)))
	}
	return n
}

// sourced reports whether the order is a stream of its own.
func (n *names) sourced() bool { return len(n.streams) > 1 }

// streamOf returns which log stream keeps the commits of id.
func (n *names) streamOf(id store.StreamID) int {
	if !n.sourced() {
		return 0
	}
	return id.Partition(n.partitions) % len(n.streams)
}

// origin returns which log stream has the name, as the order's messages name
// it: possibly followed by a colon and more.
func (n *names) origin(stream string) (int, bool) {
	rest, ok := strings.CutPrefix(stream, n.order.name+"_")
	number, _, _ := strings.Cut(rest, ":")
	i, err := strconv.Atoi(number)
	return i, ok && err == nil && i >= 0 && i < len(n.streams)
}

// subject returns where the commits of a stream are stored,
// "<ns>.evt.<partition>.<type>.<id token>". id must be valid.
func (n *names) subject(id store.StreamID, token string) string {
	b := make([]byte, 0, len(n.events)+5+len(id.Type)+1+len(token))
	b = append(b, n.events...)
	b = strconv.AppendInt(b, int64(id.Partition(n.partitions)), 10)
	b = append(b, '.')
	b = append(b, id.Type...)
	b = append(b, '.')
	b = append(b, token...)
	return string(b)
}

// typeOf returns the aggregate type in a subject of the namespace.
func (n *names) typeOf(subject string) string {
	rest, _ := strings.CutPrefix(subject, n.events)
	_, rest, _ = strings.Cut(rest, ".")
	typ, _, _ := strings.Cut(rest, ".")
	return typ
}

// streamID is the inverse of subject, as far as the subject tells.
func (n *names) streamID(subject string) store.StreamID {
	rest, _ := strings.CutPrefix(subject, n.events)
	_, rest, _ = strings.Cut(rest, ".")
	typ, token, _ := strings.Cut(rest, ".")
	id, err := store.DecodeToken(token)
	if err != nil {
		id = token
	}
	return store.StreamID{Type: typ, ID: id}
}

// holds reports whether subject is where the commits of id belong.
func (n *names) holds(subject string, id store.StreamID) bool {
	token, err := store.EncodeToken(id.ID)
	if err != nil || !strings.HasSuffix(subject, token) {
		return false
	}
	return subject == n.subject(id, token)
}

// subjects returns the subjects of the commits that a log stream keeps.
func (n *names) subjects(stream int) []string {
	if !n.sourced() {
		return []string{n.allEvents()}
	}
	var subjects []string
	for p := stream; p < n.partitions; p += len(n.streams) {
		subjects = append(subjects, n.events+strconv.Itoa(p)+".*.*")
	}
	return subjects
}

// allEvents matches every commit of the namespace.
func (n *names) allEvents() string { return n.events + "*.*.*" }

// ofType matches every commit of an aggregate type.
func (n *names) ofType(typ string) string { return n.events + "*." + typ + ".*" }

// key returns the subject of a stream's snapshot: the key "<type>.<id token>" of
// the bucket.
func (n *names) key(id store.StreamID, token string) string { return n.keys + id.Type + "." + token }
