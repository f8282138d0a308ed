package kv_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
)

// A store whose user may make no streams has another make what is missing, as that would for itself.
func TestAnotherMakesTheBucket(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	conn := connect(t, server)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	other := kv.New(kv.Config{Conn: conn, Namespace: "app", InMemory: true})
	var asked []projector.Model
	refused := errors.New("nobody makes it")
	s := kv.New(kv.Config{Conn: conn, Namespace: "app", Make: func(ctx context.Context, m projector.Model) error {
		if asked = append(asked, m); len(asked) == 1 {
			return refused
		}
		return other.Make(ctx, m)
	}})
	model := projector.Model{View: "tallies", Version: 2, Build: 3}
	const bucket = "ANNALS_app_view_tallies_v2_b3"
	if _, err := s.Open(t.Context(), projector.Layout{Model: model}); !errors.Is(err, refused) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("when nobody makes it: %v", err)
	}
	if _, err := js.Stream(t.Context(), "KV_"+bucket); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("it made one itself: %v", err)
	}
	for range 2 { // the second time it is there
		if _, err := s.Open(t.Context(), projector.Layout{Model: model}); err != nil {
			t.Fatal(err)
		}
		if err := other.Make(t.Context(), model); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]projector.Model{model, model}, asked); diff != "" {
		t.Error("asked for", diff)
	}
	own := kv.New(kv.Config{Conn: conn, Namespace: "own", InMemory: true})
	if _, err := own.Open(t.Context(), projector.Layout{Model: model}); err != nil {
		t.Fatal(err)
	}
	var settings []jetstream.StreamConfig
	for _, name := range []string{"KV_" + bucket, "KV_ANNALS_own_view_tallies_v2_b3"} {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := stream.CachedInfo().Config
		if at := time.UnixMicro(int64(c.FirstSeq)); time.Since(at) > time.Hour || time.Until(at) > time.Hour {
			t.Errorf("%s begins at %s", name, at)
		}
		c.Name, c.Subjects, c.FirstSeq = "", nil, 0
		settings = append(settings, c)
	}
	if diff := cmp.Diff(settings[0], settings[1]); diff != "" {
		t.Error("it is made otherwise", diff)
	}
}

// What nobody's view is called is not made.
func TestMakeRefuses(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	s := kv.New(kv.Config{Conn: conn, Namespace: "app", InMemory: true})
	for _, m := range []projector.Model{
		{}, {View: "a.b", Version: 1}, {View: "a>", Version: 1}, {View: "A b", Version: 1}, {View: "a"}, {View: "a", Version: 10000}, {View: "a", Version: 1, Build: -1},
	} {
		if err := s.Make(t.Context(), m); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}
