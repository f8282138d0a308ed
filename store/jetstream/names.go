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
	stream     string // the events stream
	bucket     string // the snapshots bucket

	events     string // "<ns>.evt."
	leaderGet  string // answered by the stream's leader only
	directGet  string // answered by any replica, possibly behind
	streamInfo string
	keys       string // "$KV.<bucket>."
	keyGet     string // answered by the bucket's leader only
	pull       string // "$JS.API.CONSUMER.MSG.NEXT.<stream>."
}

func newNames(namespace string, partitions int) names {
	stream := "ANNALS_" + namespace + "_events"
	bucket := "ANNALS_" + namespace + "_snapshots"
	return names{
		namespace:  namespace,
		partitions: partitions,
		stream:     stream,
		bucket:     bucket,
		events:     namespace + ".evt.",
		leaderGet:  "$JS.API.STREAM.MSG.GET." + stream,
		directGet:  "$JS.API.DIRECT.GET." + stream,
		streamInfo: "$JS.API.STREAM.INFO." + stream,
		keys:       "$KV." + bucket + ".",
		keyGet:     "$JS.API.STREAM.MSG.GET.KV_" + bucket,
		pull:       "$JS.API.CONSUMER.MSG.NEXT." + stream + ".",
	}
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

// allEvents matches every commit of the namespace.
func (n *names) allEvents() string { return n.events + "*.*.*" }

// ofType matches every commit of an aggregate type.
func (n *names) ofType(typ string) string { return n.events + "*." + typ + ".*" }

// key returns the subject of a stream's snapshot: the key "<type>.<id token>" of
// the bucket.
func (n *names) key(id store.StreamID, token string) string { return n.keys + id.Type + "." + token }
