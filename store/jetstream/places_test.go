package jetstream

import (
	"sync"
	"testing"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	p := places{most: 8}
	want := func(local, place uint64, where whereabouts) {
		t.Helper()
		if got, is := p.look(local); got != place || is != where {
			t.Errorf("%d is at %d, %d, want %d, %d", local, got, is, place, where)
		}
	}
	want(5, 0, unheard)
	for local := uint64(5); local < 13; local++ {
		p.add(local, 10*local)
	}
	want(4, 50, earlier)
	want(5, 50, placed)
	want(12, 120, placed)
	want(13, 0, coming)
	p.add(13, 130) // there is no room: half is forgotten
	want(8, 90, earlier)
	want(9, 90, placed)
	want(13, 130, placed)
	for local := uint64(14); local < 1000; local++ {
		p.add(local, 10*local)
		want(local, 10*local, placed)
		want(local-3, 10*local-30, placed)
		if len(p.known) > p.most || cap(p.known) > 2*p.most {
			t.Fatalf("%d are remembered, with room for %d", len(p.known), cap(p.known))
		}
	}
}

func TestPlacesWakeThoseWhoWait(t *testing.T) {
	t.Parallel()
	p := places{most: 8}
	var wg sync.WaitGroup
	for range 3 {
		arrived := p.await(2)
		wg.Go(func() {
			<-arrived
			p.leave(2)
			if place, where := p.look(2); place != 7 || where != placed {
				t.Errorf("woken, but it is at %d, %d", place, where)
			}
		})
	}
	gone := p.await(2)
	p.leave(2) // one of four
	p.add(1, 3)
	select {
	case <-gone:
		t.Error("woken too early")
	default:
	}
	p.add(2, 7)
	<-gone
	wg.Wait()
	<-p.await(1) // what is there is not waited for
	p.await(3)
	p.leave(3)
	p.leave(3)
	if len(p.waiting) != 0 {
		t.Errorf("%d are still waited for, by nobody", len(p.waiting))
	}
}
