package projectortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var documentCases = []testCase{
	{"documents are read as they were written", asWritten},
	{"any key that has a token is a key", oddKeys},
	{"a commit is seen by whoever reads after it", readAfterCommit},
	{"readers see all of a commit or nothing", atomic},
	{"a commit holds as many documents as the store says", fullCommit},
	{"more documents than the store takes are refused", overfullCommit},
	{"a document that is too large is refused, with its whole commit", largeDocument},
	{"a document belongs to who reads it", ownership},
}

func asWritten(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	want := []projector.Document{
		{Key: "null", Position: 1, Document: []byte(`null`)},
		{Key: "text", Position: 2, Document: []byte(`"a\u0000b <&> é"`)},
		{Key: "number", Position: 1<<53 - 1, Document: []byte(`12345678901234567890`)},
		{Key: "object", Position: 4, Document: []byte(`{"a":[1,2,{"b":null}],"c":""}`)},
	}
	c := commit(t, v, load(t, v), want...)
	found := get(t, v, c, "null", "text", "number", "object", "absent")
	if len(found) != len(want) {
		t.Errorf("%d documents, want %d", len(found), len(want))
	}
	for _, w := range want {
		if got := found[w.Key]; got.Position != w.Position || !bytes.Equal(got.Document, w.Document) {
			t.Errorf("document %s is %d %s, want %d %s", w.Key, got.Position, got.Document, w.Position, w.Document)
		}
	}
	if got := get(t, v, c); len(got) != 0 {
		t.Errorf("no keys give %v", got)
	}
}

func oddKeys(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	keys := []string{
		"a b", "a/b", "a.b", "*", ">", "$JS.API", "c.0", "0", "c", "=2E", "é", "日本", "A", "a", "--help", `"'`, "{{x}}",
		strings.Repeat("k", store.MaxIDBytes),
	}
	var docs []projector.Document
	for i, key := range keys {
		docs = append(docs, doc(key, store.Position(i+1), i))
	}
	c := commit(t, v, load(t, v), docs...)
	found := get(t, v, c, keys...)
	for i, key := range keys {
		if d, ok := found[key]; !ok || valueOf(t, d) != i {
			t.Errorf("document %q is %v", key, d)
		}
	}
	if diff := cmp.Diff(keys, list(t, v, c, 5, nil)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if got := load(t, v); got.Position != c.Position {
		t.Errorf("checkpoint is %+v", got)
	}
	for _, bad := range []string{"", "a\x00", string([]byte{0xff}), strings.Repeat("k", store.MaxIDBytes+1)} {
		if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(c), Documents: []projector.Document{doc(bad, 99, 1)}}); err == nil {
			t.Errorf("a document under %q was stored", bad)
		}
	}
}

func readAfterCommit(t *testing.T, h Harness) {
	s := h.Open(t)
	v, reader := open(t, s), open(t, s)
	c := load(t, v)
	for i := range 100 {
		c = commit(t, v, c, doc("a", store.Position(i+1), i))
		if got := valueOf(t, get(t, reader, c, "a")["a"]); got != i {
			t.Fatalf("after commit %d the document is %d", i, got)
		}
		docs, _, err := reader.List(within(t), "", 10, c)
		if err != nil || len(docs) != 1 || valueOf(t, docs[0]) != i {
			t.Fatalf("after commit %d the page is %v, %v", i, docs, err)
		}
	}
}

func atomic(t *testing.T, h Harness) {
	s := h.Open(t)
	v := open(t, s)
	c := commit(t, v, load(t, v), doc("a", 1, 0), doc("b", 1, 0), doc("z", 1, 0))
	since := c
	ctx, stop := context.WithCancel(within(t))
	var readers sync.WaitGroup
	for range 3 {
		reader := open(t, s)
		readers.Go(func() {
			for ctx.Err() == nil {
				docs, err := reader.Get(ctx, []string{"a", "z", "b"}, since)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if got := valuesOf(docs); len(got) != 1 || len(docs) != 3 {
					t.Errorf("one commit was seen in parts: %v", got)
					return
				}
			}
		})
	}
	for i := 1; i <= 150; i++ {
		at := store.Position(i + 1)
		c = commit(t, v, c, doc("b", at, i), doc("a", at, i), doc("z", at, i))
	}
	stop()
	readers.Wait()
}

func valuesOf(docs []projector.Document) map[string]bool {
	values := map[string]bool{}
	for _, d := range docs {
		values[string(d.Document)] = true
	}
	return values
}

func many(n int, value int) []projector.Document {
	docs := make([]projector.Document, n)
	for i := range docs {
		docs[i] = doc(fmt.Sprintf("key-%d", i), 1, value)
	}
	return docs
}

func fullCommit(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	if v.MaxChanges() < 1 {
		t.Fatalf("a commit holds %d documents", v.MaxChanges())
	}
	docs := many(v.MaxChanges(), 1)
	c := commit(t, v, load(t, v), docs...)
	c = commit(t, v, c, many(v.MaxChanges(), 2)...)
	var keys []string
	for _, d := range docs {
		keys = append(keys, d.Key)
	}
	found := get(t, v, c, keys...)
	for _, key := range keys {
		if got := valueOf(t, found[key]); got != 2 {
			t.Fatalf("document %s is %d", key, got)
		}
	}
}

func overfullCommit(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	docs := many(v.MaxChanges()+1, 1)
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(load(t, v)), Documents: docs}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("commit: %v, want ErrTooLarge", err)
	}
	if c := load(t, v); c.Revision != 0 || len(get(t, v, c, "key-0")) != 0 {
		t.Errorf("something was stored: %+v", c)
	}
}

// largeDocument tries sizes up to one that no store takes. A store may take
// any, but then it has to give it back.
func largeDocument(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), doc("small", 1, 1))
	for _, size := range []int{100 << 10, 900 << 10, 1 << 20, 8 << 20} {
		large := projector.Document{Key: "large", Position: 2, Document: []byte(`"` + strings.Repeat("x", size) + `"`)}
		docs := []projector.Document{doc("small", 2, 2), large}
		next, err := v.Commit(within(t), projector.Write{Checkpoint: moved(c, docs...), Documents: docs})
		if errors.Is(err, store.ErrTooLarge) {
			if found := get(t, v, c, "small"); valueOf(t, found["small"]) != 1 {
				t.Errorf("with %d bytes refused, the rest was stored: %v", size, found)
			}
			return
		}
		if err != nil {
			t.Fatalf("commit of %d bytes: %v", size, err)
		}
		if found := get(t, v, next, "large"); !bytes.Equal(found["large"].Document, large.Document) {
			t.Errorf("%d bytes became %d", len(large.Document), len(found["large"].Document))
		}
		c = commit(t, v, next, doc("small", 3, 1))
	}
}

func ownership(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	written := doc("a", 1, 1)
	c := commit(t, v, load(t, v), written)
	written.Document[5] = '9'
	read := get(t, v, c, "a")["a"]
	if valueOf(t, read) != 1 {
		t.Errorf("the writer changed the stored document: %s", read.Document)
	}
	read.Document[5] = '8'
	if again := get(t, v, c, "a")["a"]; valueOf(t, again) != 1 {
		t.Errorf("a reader changed the stored document: %s", again.Document)
	}
}
