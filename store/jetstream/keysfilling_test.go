package jetstream

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/segment"
)

// A key store that is restored is nobody else's until it has all keys, also if the restore
// is interrupted in the middle: the next one ends it.
func TestKeysBeingFilled(t *testing.T) {
	t.Parallel()
	for _, f := range []*fixture{&single, &cluster} {
		source := openKeys(t, f, KeysConfig{})
		for i := range 20 {
			mustStoreKey(t, source, keyRecord(fmt.Sprint(i)))
		}
		v, err := segment.Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backup.CopyKeys(t.Context(), v, source.cfg.Namespace, source, ""); err != nil {
			t.Fatal(err)
		}
		kept, err := backup.OpenKeys(t.Context(), v, source.cfg.Namespace)
		if err != nil {
			t.Fatal(err)
		}
		config := KeysConfig{Namespace: namespace(t), Fill: true, Realm: source.Realm()}
		first := openKeys(t, f, config)
		ctx, cancel := context.WithCancel(t.Context())
		sent := 0
		first.publish = func(within context.Context, m *nats.Msg) (*nats.Msg, error) {
			if sent++; sent > 7 {
				cancel()
			}
			return first.cfg.Conn.RequestMsgWithContext(within, m)
		}
		if done, err := kept.Restore(ctx, first, 0); err == nil || done.Stored >= 20 || done.Stored == 0 {
			t.Fatalf("interrupted: %+v, %v", done, err)
		}
		cancel()
		refused := func(when string) {
			t.Helper()
			for _, create := range []bool{false, true} {
				asNode := first.cfg
				asNode.Fill, asNode.Create, asNode.Realm = false, create, [16]byte{}
				if _, err := OpenKeys(t.Context(), asNode); !errors.Is(err, ErrKeysUnfinished) || errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s: a node opens it: %v", when, err)
				}
			}
		}
		refused("after the interruption")
		second := openKeys(t, f, config)
		if filling, err := second.Filling(t.Context()); !filling || err != nil {
			t.Errorf("filling: %v, %v", filling, err)
		}
		if done, err := kept.Restore(t.Context(), second, 0); err != nil || done.Records != 20 || done.Stored == 0 || done.Stored >= 20 {
			t.Fatalf("again: %+v, %v", done, err)
		}
		refused("before it is finished")
		for range 2 {
			if err := second.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		node := keysAgain(t, f, second)
		for i := range 20 {
			if has, want := mustLoadKey(t, node, fmt.Sprint(i)), mustLoadKey(t, source, fmt.Sprint(i)); has.Key != want.Key {
				t.Errorf("has %+v, want %+v", has, want)
			}
		}
		third := openKeys(t, f, config)
		if filling, err := third.Filling(t.Context()); filling || err != nil {
			t.Errorf("filling: %v, %v", filling, err)
		}
	}
}
