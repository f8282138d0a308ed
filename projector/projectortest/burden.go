package projectortest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// slow is a store whose commits take a while, as on a disk that is busy: what comes
// meanwhile is then written together, and later.
type slow struct{ projector.Store }

func (s slow) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.Store.Open(ctx, layout)
	if err != nil {
		return nil, err
	}
	return slowView{v.(projector.Querier)}, nil
}

type slowView struct{ projector.Querier }

func (v slowView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	<-time.After(20 * time.Millisecond)
	return v.Querier.Commit(ctx, w)
}

func (v slowView) Scrub(ctx context.Context, goesOn bool) error {
	if s, able := v.Querier.(projector.Scrubber); able {
		return s.Scrub(ctx, goesOn)
	}
	return nil
}

// burden enrols somebody else again and again. It returns when there is enough of it for
// writes to be put off, and goes on for a while.
func burden(t *testing.T, log store.Log, who string) (ended <-chan struct{}) {
	t.Helper()
	const all, enough = 200, 40
	under, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for n := range all {
			enrol(t, log, fmt.Sprint(who, "-", n), enrolled{Who: who, Name: "somebody"})
			if n == enough {
				close(under)
			}
			<-tick.C
		}
	}()
	t.Cleanup(func() { <-done })
	select {
	case <-under:
	case <-done: // the test has failed
	}
	return done
}

// forgottenUnderLoad forgets persons whose rows were written long before, while others write.
func forgottenUnderLoad(t *testing.T, h Harness) {
	if !h.Tables {
		return
	}
	below := h.Open(t)
	s := sealingOver(t, slow{below})
	log := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), s.ring)
	g := s.serving(t, log, memberRows())
	var last store.Position
	people := []string{"ann", "cid", "dan", "eve"}
	for _, who := range people {
		for n := range 30 {
			last = enrol(t, log, fmt.Sprint(who, n), enrolled{Who: who, Name: marker + "-" + who + strings.Repeat("x", 100)})
		}
	}
	for _, who := range people {
		counts(t, g, last, who, "30")
	}
	if h.Files != nil && len(marked(t, h.Files(t, below), marker)) == 0 {
		t.Error("the marker is in no file before")
	}
	for i, who := range people {
		ended := burden(t, log, fmt.Sprint("other", i))
		notice := s.forgetIn(t, log, who)
		counts(t, g, notice, who, "0")
		<-ended
		scrubbed(t, h, below, marker+"-"+who)
	}
}
