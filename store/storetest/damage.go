package storetest

import (
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

var damageCases = []testCase{
	{"bytes that are no commit", "a message that does not decode is damage at the version that it would have had", damageForeign},
	{"gap", "a commit that skips versions is damage at the first that is missing", damageGap},
	{"version twice", "a commit that repeats versions is damage", damageRepeat},
	{"broken chain", "a commit that holds another hash than its predecessor's is damage", damageChain},
	{"commit of another stream", "a commit that names another stream than the one it is stored in is damage", damageOtherStream},
	{"flipped bit", "one changed bit anywhere in a stored commit is damage, also in the last commit", damageFlip},
	{"commit taken out", "a commit that disappeared is damage at its version", damageRemoved},
	{"last commit taken out", "who knew the stream's end notices that the log lost it", damageLostEnd},
}

// forge stores data behind a stream of three events, and returns the error of
// reading it.
func forge(t *testing.T, s Store, id string, dataFor func(w *writer) []byte) (*writer, error) {
	t.Helper()
	if s.Forge == nil {
		t.Skip("SKIPPED, NOT PASSED: nothing can be forged in this store")
	}
	w := newWriter(s.Log, account(id))
	w.add(t, 1, 2)
	s.Forge(t, w.id, dataFor(w))
	got, err := readAll(contextOf(t), s.Log, w.id, store.Head{})
	wantCommits(t, "what stands before the damage", got, w.stored)
	return w, err
}

func wantDamageAt(t *testing.T, err error, w *writer, version uint64) {
	t.Helper()
	damage := damageIn(t, err, w.id)
	if damage.Version != version || damage.Sequence == 0 {
		t.Fatalf("damage is reported as %+v, want version %d and a sequence", *damage, version)
	}
}

func encoded(t *testing.T, log store.Log, c *store.Commit) []byte {
	t.Helper()
	data, err := store.EncodeCommit(log.Codec(), c)
	if err != nil {
		t.Fatalf("encode a commit: %v", err)
	}
	return data
}

func damageForeign(t *testing.T, s Store) {
	for id, data := range map[string]string{"bomb": "\xdd\xff\xff\xff\xff", "json": "{}", "text": "no commit at all", "byte": "\x00"} {
		w, err := forge(t, s, id, func(*writer) []byte { return []byte(data) })
		wantDamageAt(t, err, w, 4)
	}
}

func damageGap(t *testing.T, s Store) {
	w, err := forge(t, s, "1", func(w *writer) []byte {
		c := w.next(t, 1)
		c.After.Version += 2
		return encoded(t, s.Log, c)
	})
	wantDamageAt(t, err, w, 4)
}

func damageRepeat(t *testing.T, s Store) {
	w, err := forge(t, s, "1", func(w *writer) []byte {
		c := *w.stored[1]
		c.ID = uuid.New()
		return encoded(t, s.Log, &c)
	})
	wantDamageAt(t, err, w, 4)
}

func damageChain(t *testing.T, s Store) {
	w, err := forge(t, s, "1", func(w *writer) []byte {
		c := w.next(t, 1)
		c.After.Hash[15] ^= 0x80
		return encoded(t, s.Log, c)
	})
	wantDamageAt(t, err, w, 4)
}

func damageOtherStream(t *testing.T, s Store) {
	w, err := forge(t, s, "1", func(w *writer) []byte {
		c := w.next(t, 1)
		c.Stream = account("2")
		return encoded(t, s.Log, c)
	})
	wantDamageAt(t, err, w, 4)
}

func damageFlip(t *testing.T, s Store) {
	if s.Flip == nil {
		t.Skip("SKIPPED, NOT PASSED: no bit can be flipped in this store")
	}
	var writers []*writer
	for i := range 3 {
		w := newWriter(s.Log, account(string(rune('a'+i))))
		w.add(t, 1, 1, 1)
		writers = append(writers, w)
	}
	for i, w := range writers {
		s.Flip(t, w.stored[i])
		_, err := readAll(contextOf(t), s.Log, w.id, store.Head{})
		wantDamageAt(t, err, w, uint64(i)+1)
	}
}

func damageRemoved(t *testing.T, s Store) {
	if s.Remove == nil {
		t.Skip("SKIPPED, NOT PASSED: no commit can be taken out of this store")
	}
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 2, 1)
	s.Remove(t, w.stored[1])
	got, err := readAll(contextOf(t), s.Log, w.id, store.Head{})
	wantDamageAt(t, err, w, 2)
	wantCommits(t, "what stands before the damage", got, w.stored[:1])
}

func damageLostEnd(t *testing.T, s Store) {
	if s.Remove == nil {
		t.Skip("SKIPPED, NOT PASSED: no commit can be taken out of this store")
	}
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 2, 1)
	s.Remove(t, w.stored[2])
	_, err := readAll(contextOf(t), s.Log, w.id, w.head)
	wantError(t, "read after a head that was lost", err, store.ErrAhead)
}
