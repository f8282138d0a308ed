package projector

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/store"
)

// A version that is further than the one before it does not begin there again,
// whatever the registry says.
func TestAVersionDoesNotBeginBehindItself(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from, to := Kept{Model: Model{View: "v", Version: 1}, Workers: 1}, Kept{Model: Model{View: "v", Version: 2}, Workers: 1}
	f := &family{cfg: Config{Registry: &MemoryRegistry{}}, name: "v"}
	if _, err := f.cfg.Registry.Store(ctx, "v", Entry{Live: from}, 0); err != nil {
		t.Fatal(err)
	}
	v, err := (&Memory{}).Open(ctx, to.Layout())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   store.Position
		want error
		has  store.Position
	}{{20, nil, 20}, {10, ErrFenced, 20}, {20, nil, 20}, {30, nil, 30}} {
		err := f.beginAt(ctx, v, from, to, 0, Checkpoint{Position: c.at, Revision: 1}, nil)
		if !errors.Is(err, c.want) {
			t.Errorf("begin at %d: %v, want %v", c.at, err, c.want)
		}
		if has, err := v.Load(ctx, "0"); err != nil || has.Position != c.has {
			t.Errorf("after that it is at %d, %v; want %d", has.Position, err, c.has)
		}
	}
}
