package storetest

import (
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

var idCases = []testCase{
	{"ids are kept apart", "ids that a careless encoding would mix up, or take for wildcards, are streams of their own", idsApart},
	{"ids of snapshots are kept apart", "the same for snapshots", idsApartInSnapshots},
}

// unusualIDs are ids that differ only in what careless code loses.
func unusualIDs() []string {
	return []string{
		"a", "A", "a.b", "a*", "*", ">", "a.>", "a.*", ".", "..", "a..b", "a b", " ", "a/b", "/", "../../etc/passwd",
		"é", "e", "\U0001F4B6", "=41", "=", "a=2Eb", "%41", "a\\b", "$JS.API.STREAM.DELETE.X", "_INBOX.x", "--help",
		"'; drop table events; --", "{{.}}", "<script>", "1e309", "-0", "0", "00",
		strings.Repeat("x", store.MaxIDBytes), strings.Repeat("x", store.MaxIDBytes-1), strings.Repeat("é", 33),
	}
}

func idsApart(t *testing.T, s Store) {
	var writers []*writer
	for i, id := range unusualIDs() {
		w := newWriter(s.Log, account(id))
		w.add(t, 1+i%3)
		other := newWriter(s.Log, store.StreamID{Type: "account-2", ID: id})
		other.add(t, 1)
		writers = append(writers, w, other)
	}
	for _, w := range writers {
		w.add(t, 1)
	}
	for _, w := range writers {
		w.check(t)
	}
}

func idsApartInSnapshots(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	want := map[string]*store.Snapshot{}
	for i, id := range unusualIDs() {
		want[id] = snapshotOf(account(id), uint64(i)+1)
		if err := kept.Save(contextOf(t), want[id]); err != nil {
			t.Fatalf("save the snapshot of %q: %v", id, err)
		}
	}
	for id, snapshot := range want {
		wantSnapshot(t, kept, snapshot)
		if err := kept.Delete(contextOf(t), account(id)); err != nil {
			t.Fatalf("delete the snapshot of %q: %v", id, err)
		}
		wantNoSnapshot(t, kept, account(id))
	}
}
