package privacy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

var codecs = []store.Codec{store.MsgPack, store.JSON}

// forEachCodec runs a test with each codec.
func forEachCodec(t *testing.T, test func(t *testing.T, codec store.Codec)) {
	t.Helper()
	for _, codec := range codecs {
		t.Run(codec.Name(), func(t *testing.T) {
			t.Parallel()
			test(t, codec)
		})
	}
}

// wrapper returns a wrapper with a key of its own.
func wrapper(tb testing.TB) *privacy.File {
	tb.Helper()
	path := tb.TempDir() + "/keys"
	if err := privacy.GenerateFile(path, "first"); err != nil {
		tb.Fatal(err)
	}
	f, err := privacy.OpenFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// ringOf returns a keyring of its own over a key store.
func ringOf(tb testing.TB, keys privacy.Keys, w privacy.Wrapper) *privacy.Keyring {
	tb.Helper()
	return ringWith(tb, privacy.KeyringConfig{Keys: keys, Wrapper: w})
}

func ringWith(tb testing.TB, config privacy.KeyringConfig) *privacy.Keyring {
	tb.Helper()
	config.Logger = slog.New(slog.DiscardHandler)
	k, err := privacy.NewKeyring(config)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// newRing returns a keyring over an empty key store.
func newRing(tb testing.TB) (*privacy.Keyring, *privacy.Memory) {
	tb.Helper()
	keys := privacy.NewMemory()
	return ringOf(tb, keys, wrapper(tb)), keys
}

// field is a personal value of a test.
type field struct{ name, value, subject string }

// encode returns a map of texts, with spans over the fields' values.
func encode(tb testing.TB, codec store.Codec, fields ...field) ([]byte, []store.Personal) {
	tb.Helper()
	values := map[string]string{"city": "Utrecht"}
	for _, f := range fields {
		values[f.name] = f.value
	}
	data := mustMarshal(tb, codec, values)
	var spans []store.Personal
	for _, f := range fields {
		value := mustMarshal(tb, codec, f.value)
		at := bytes.Index(data, value)
		if at < 0 {
			tb.Fatalf("%s is not in %q", f.value, data)
		}
		spans = append(spans, store.Personal{Path: f.name, Start: at, End: at + len(value), Subject: f.subject})
	}
	return data, spans
}

func mustMarshal(tb testing.TB, codec store.Codec, v any) []byte {
	tb.Helper()
	data, err := codec.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// texts decodes what encode made, without the mark of what was forgotten.
func texts(tb testing.TB, codec store.Codec, data []byte) map[string]string {
	tb.Helper()
	var values map[string]any
	if err := codec.Unmarshal(data, &values, false); err != nil {
		tb.Fatalf("decode %q: %v", data, err)
	}
	got := map[string]string{}
	for name, v := range values {
		if text, ok := v.(string); ok {
			got[name] = text
		}
	}
	return got
}

// commitOf makes a commit of one event with personal fields.
func commitOf(tb testing.TB, codec store.Codec, id store.StreamID, after store.Head, fields ...field) *store.Commit {
	tb.Helper()
	data, spans := encode(tb, codec, fields...)
	return &store.Commit{
		Stream: id, ID: uuid.New(), After: after, Time: time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "submit"}},
		Events:   []store.Event{{Type: "submitted", Schema: 1, Data: data, Personal: spans}},
	}
}

// readAll reads a stream.
func readAll(ctx context.Context, log store.Log, id store.StreamID) ([]*store.Commit, error) {
	var all []*store.Commit
	for c, err := range log.Read(ctx, id, store.Head{}) {
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

func mustRead(tb testing.TB, log store.Log, id store.StreamID) []*store.Commit {
	tb.Helper()
	all, err := readAll(tb.Context(), log, id)
	if err != nil {
		tb.Fatalf("read %s: %v", id, err)
	}
	return all
}

func mustAppend(tb testing.TB, log store.Log, c *store.Commit) store.Head {
	tb.Helper()
	head, err := log.Append(tb.Context(), c)
	if err != nil {
		tb.Fatalf("append to %s: %v", c.Stream, err)
	}
	return head
}

func wantError(tb testing.TB, what string, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("%s: %v, want %v", what, err, want)
	}
}

// faulty is a key store that counts, and fails when it is told to.
type faulty struct {
	privacy.Keys
	loads, stores, erases atomic.Int64

	mu     sync.Mutex
	before func(what string) error // called before each call; an error is returned instead of calling
	after  func(what string) error // called after each call; an error is returned instead of the answer
}

func (f *faulty) set(before, after func(string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func (f *faulty) hook(what string, after bool) error {
	f.mu.Lock()
	h := f.before
	if after {
		h = f.after
	}
	f.mu.Unlock()
	if h == nil {
		return nil
	}
	return h(what)
}

func (f *faulty) Load(ctx context.Context, subject string) (privacy.Record, error) {
	f.loads.Add(1)
	if err := f.hook("load", false); err != nil {
		return privacy.Record{}, err
	}
	r, err := f.Keys.Load(ctx, subject)
	if hooked := f.hook("load", true); hooked != nil {
		return privacy.Record{}, hooked
	}
	return r, err
}

func (f *faulty) Store(ctx context.Context, r privacy.Record) (uint64, error) {
	f.stores.Add(1)
	if err := f.hook("store", false); err != nil {
		return 0, err
	}
	revision, err := f.Keys.Store(ctx, r)
	if hooked := f.hook("store", true); hooked != nil {
		return 0, hooked
	}
	return revision, err
}

func (f *faulty) Erase(ctx context.Context, subject string, below uint64) error {
	f.erases.Add(1)
	if err := f.hook("erase", false); err != nil {
		return err
	}
	err := f.Keys.Erase(ctx, subject, below)
	if hooked := f.hook("erase", true); hooked != nil {
		return hooked
	}
	return err
}

// forgetter forgets on these keyrings, and writes its notices into a map.
func forgetter(tb testing.TB, keys privacy.Keys, rings ...*privacy.Keyring) *privacy.Forgetter {
	tb.Helper()
	f, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: keys,
		Purge: func(ctx context.Context, subject string) error {
			for i, k := range rings {
				if err := k.Purge(ctx, subject); err != nil {
					return fmt.Errorf("node %d: %w", i, err)
				}
			}
			return nil
		},
		Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) { return 1, nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func mustForget(tb testing.TB, f *privacy.Forgetter, subject string) privacy.Receipt {
	tb.Helper()
	r, err := f.Forget(tb.Context(), privacy.Request{Subject: subject, By: "officer", Why: "asked for it"})
	if err != nil {
		tb.Fatalf("forget %s: %v", subject, err)
	}
	return r
}
