package node

import (
	"testing"
	"time"
)

// Until when a node that is gone may have been there is when it was missed, and not when it was
// seen: between the two nobody may have looked for long.
func TestSeenUntilMissed(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Time { return time.Unix(1_000_000, 0).Add(time.Duration(seconds) * time.Second) }
	var s seen
	both, one, again := map[string]string{"a": "1", "b": "2"}, map[string]string{"a": "1"}, map[string]string{"a": "1", "b": "3"}
	if last := s.lastOfOthers(one, at(0)); !last.IsZero() {
		t.Errorf("nobody was seen, and may have been there until %v", last)
	}
	s.note(both, at(0))
	for _, c := range []struct {
		what  string
		nodes map[string]string
		now   int
		want  time.Time
	}{
		{"all are there", both, 60, time.Time{}},
		{"one was not missed before", one, 60, at(60)},
		{"it has another session", again, 61, at(61)},
	} {
		if last := s.lastOfOthers(c.nodes, at(c.now)); !last.Equal(c.want) {
			t.Errorf("%s: until %v, want %v", c.what, last, c.want)
		}
	}
	s.note(one, at(62))
	s.note(one, at(63))
	if last := s.lastOfOthers(one, at(64)); !last.Equal(at(62)) {
		t.Errorf("missed at 62 s, and may have been there until %v", last)
	}
	s.note(one, at(62).Add(3*keyAge))
	if last := s.lastOfOthers(one, at(62).Add(3*keyAge)); !last.IsZero() {
		t.Errorf("what is long gone may have been there until %v", last)
	}
}
